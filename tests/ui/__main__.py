"""`make check-ui`: the whole system, seen by Node.js over gRPC and by a browser in the chat page.

Needs Node.js 18 or newer with npm, and Chromium (`CHROMIUM` names one that is not on the path).
Screenshots go under .atelier; `make check-ui SCREENSHOTS=docs` renews those of the documentation.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from pathlib import Path

import google.rpc

from generation_svc.storage.embedded.server import embedded_postgres
from tests.e2e.caller import TOKENS
from tests.e2e.stack import Shape, stack
from tests.ui.sale import selling

HERE = Path(__file__).parent
FOLDER = Path(".atelier/check-ui").absolute()
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRAWING_SECONDS = "3"
"""How long the sandbox takes for a picture: long enough to be seen at work."""
FREE = Shape(sandbox={"SANDBOX_KIE_DURATION_S": DRAWING_SECONDS})
"""What there is without money: the free models."""
ALL = Shape(
    service={"UNPAID_MODELS": "allow"},
    # A song is told of once, as any other result; it makes no other screen.
    sandbox={"SANDBOX_KIE_SONG_CALLBACKS": "unified", "SANDBOX_KIE_DURATION_S": "1"},
)
"""Every model of the catalog."""
SCENES = (
    (FREE, ("chat.test.mjs", "grpc.test.mjs", "invoice.test.mjs", "money.test.mjs")),
    (ALL, ("models.test.mjs",)),
)
"""What is tested on which system."""


def main() -> int:
    """Run every test; return 0 only if all passed."""
    programs = {
        "Node.js": shutil.which("node"),
        "npm": shutil.which("npm"),
        "Chromium": _browser(),
    }
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        sys.stderr.write(
            f"check-ui needs {' and '.join(missing)}."
            " Debian: apt-get install nodejs npm chromium fonts-noto-color-emoji;"
            " or set CHROMIUM to the path of a Chrome or Chromium.\n"
        )
        return 2
    subprocess.run(["npm", "ci", "--silent"], cwd=HERE, check=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return asyncio.run(_check_all())


def _browser() -> str | None:
    named = os.environ.get("CHROMIUM")
    found = (shutil.which(name) for name in ((named,) if named else BROWSERS))
    return next((path for path in found if path), None)


async def _check_all() -> int:
    # Side by side: for most of the time both wait for pictures.
    checks = (
        _check(FOLDER / f"system-{number}", shape, files=files)
        for number, (shape, files) in enumerate(SCENES, 1)
    )
    return max(await asyncio.gather(*checks))


async def _check(folder: Path, shape: Shape, *, files: Sequence[str]) -> int:
    async with (
        embedded_postgres(folder / "postgres", durable=False) as database_url,
        stack(folder, database_url=database_url, shape=shape) as system,
        selling() as shop_url,
    ):
        told = {
            "ATELIER_ADDRESS": system.service.env["GENERATION_LISTEN"],
            "ATELIER_TOKEN": TOKENS["caller"],
            "CHAT_URL": system.telegram.url,
            "SHOP_URL": shop_url,
        }
        return await _node(files, {**_paths(), **told})


def _paths() -> dict[str, str]:
    return {
        "CHROMIUM": str(_browser()),
        "SCREENSHOTS": str(
            Path(os.environ.get("SCREENSHOTS") or FOLDER / "screenshots").absolute()
        ),
        "SCRATCH": str(FOLDER / "screenshots"),
        "PROTO_FOLDER": str(Path("proto").absolute()),
        "GOOGLE_PROTO_FOLDER": str(Path(google.rpc.__path__[0]).parents[1]),
    }


async def _node(files: Sequence[str], told: Mapping[str, str]) -> int:
    flags = ("--test", "--test-concurrency=1", "--test-reporter=spec")
    process = await asyncio.create_subprocess_exec(
        *("node", *flags, *files), cwd=HERE, env={**os.environ, **told}, stdout=PIPE
    )
    told_by_node, _ = await process.communicate()
    sys.stdout.write(told_by_node.decode())  # at once, so that two do not mix
    return process.returncode or 0


if __name__ == "__main__":
    raise SystemExit(main())
