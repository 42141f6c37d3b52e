"""What the wheel holds, and that the service runs from it with nothing beside it."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from psycopg import sql

from runtime.version import DISTRIBUTION, product_version
from tests.package.wheel import OWN, ROOT, SCRIPTS, built, pip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: list[str]) -> Message:
    return message_from_bytes(_file(wheel, names, "METADATA"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel alone; what it needs is in this environment."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


@pytest.fixture
def empty_database_url(postgres: psycopg.Connection, postgres_url: str) -> Iterator[str]:
    name = f"wheel_{uuid4().hex}"
    postgres.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    postgres.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _file(wheel: Path, names: list[str], end: str) -> bytes:
    (name,) = [each for each in names if each.endswith(f".dist-info/{end}")]
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def test_it_brings_its_own_packages_and_nothing_beside_them(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == set(OWN)
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


@pytest.mark.parametrize("package", OWN)
def test_each_package_says_that_it_is_typed(names: list[str], package: str) -> None:
    assert f"{package}/py.typed" in names


def test_it_brings_all_that_is_read_beside_the_code(names: list[str]) -> None:
    revisions = {path.name for path in (ROOT / "migrations/versions").glob("*.py")}
    inside = {Path(name).name for name in names if "/migrations/versions/" in name}
    assert inside == revisions
    assert {
        "generation_svc/migrations/env.py",
        "generation_svc/models/KIE_SOURCE_OF_TRUTH.json",
        "generation_svc/models/model.schema.json",
        "edge_bot/view/locales/ru/LC_MESSAGES/edge_bot.mo",
        "sandbox/telegram/static/index.html",
    } <= set(names)


def test_it_says_its_licence(wheel: Path, names: list[str], metadata: Message) -> None:
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert _file(wheel, names, "licenses/LICENSE").startswith(b"MIT License\n")


def test_it_has_a_script_for_each_program(wheel: Path, names: list[str]) -> None:
    lines = _file(wheel, names, "entry_points.txt").decode().splitlines()
    assert lines[0] == "[console_scripts]"
    assert dict(line.split(" = ") for line in lines[1:] if line) == SCRIPTS


@pytest.mark.parametrize("place", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_starts_what_takes_no_arguments(place: str) -> None:
    module, _, name = place.partition(":")
    started = getattr(import_module(module), name)
    assert not inspect.signature(started).parameters
    assert not inspect.iscoroutinefunction(started)


_ASKED_FOR = """
import importlib, json, pkgutil
from google.protobuf import runtime_version
asked = {"protobuf": set(), "grpcio": set()}
check = runtime_version.ValidateProtobufRuntimeVersion
def noted(domain, major, minor, patch, suffix, location):
    if location.startswith("atelier/"):
        asked["protobuf"].add(f"{major}.{minor}.{patch}")
    check(domain, major, minor, patch, suffix, location)
runtime_version.ValidateProtobufRuntimeVersion = noted
import atelier.generation.v1 as package
for module in pkgutil.iter_modules(package.__path__, "atelier.generation.v1."):
    found = importlib.import_module(module.name)
    if hasattr(found, "GRPC_GENERATED_VERSION"):
        asked["grpcio"].add(found.GRPC_GENERATED_VERSION)
print(json.dumps({name: sorted(found) for name, found in asked.items()}))
"""


def test_it_asks_for_what_the_generated_code_asks_for(metadata: Message) -> None:
    told = subprocess.run([sys.executable, "-c", _ASKED_FOR], capture_output=True, check=True)
    needed = {each.name: each for each in map(Requirement, metadata.get_all("Requires-Dist", []))}
    for name, versions in json.loads(told.stdout).items():
        (version,) = versions
        assert version in needed[name].specifier
        lowest = min(Version(each.version) for each in needed[name].specifier)
        assert lowest == Version(version), f"{name} below {version} cannot import the contract"


def test_the_schema_and_the_models_are_found_where_nothing_else_is(
    installed: Path, tmp_path: Path, empty_database_url: str
) -> None:
    code = (
        "import sys, generation_svc\n"
        "from generation_svc.catalog import load_catalog\n"
        "from generation_svc.storage.migrate import migrate\n"
        "migrate(sys.argv[1])\n"
        "print(generation_svc.__file__, len(load_catalog().models))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, empty_database_url],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    place, models = told.stdout.split()
    assert Path(place).is_relative_to(installed)
    assert int(models) >= 4
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM job").fetchone() == (0,)


def test_what_it_advises_to_install_is_itself(metadata: Message) -> None:
    assert metadata["Name"] == DISTRIBUTION == "atelier-generation-service"
    assert metadata["Version"] == product_version()
    assert "run" in metadata.get_all("Provides-Extra", [])
