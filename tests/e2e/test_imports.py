"""A process imports what it works with, and what few of them ever need when it is needed."""

from __future__ import annotations

import re

import pytest

from generation_svc.storage.migrate import migrate
from tests.e2e.program import Program
from tests.e2e.stack import Shape, Stack

TOLD = {"PYTHONPROFILEIMPORTTIME": "1"}
"""What makes Python log every import as it is made."""
SHAPE = Shape(service={**TOLD, "METRICS_LISTEN": ""}, gateway=TOLD, edge=TOLD)
SCHEMA = {"alembic", "mako", "sqlalchemy", "sqlmodel"}
"""What a migration needs."""
MEDIA = {"PIL", "av"}
"""What the processes that examine media need."""
STATEMENT = {"fpdf", "fontTools"}
"""What writes statements as PDF."""
DEVELOPMENT = {"boto3", "hypothesis", "moto", "pytest", "sandbox", "devrun", "pydantic_settings"}
NEVER = SCHEMA | MEDIA | STATEMENT | DEVELOPMENT
OTHERS = {
    "generation_svc": {"jsonschema", "referencing", "starlette", "uvicorn", "telegram", "edge_bot"},
    "callback_gateway": {"httpx", "httpx2", "jsonschema", "obstore", "psycopg", "telegram"},
    "edge_bot": {"httpx2", "jsonschema", "obstore", "psycopg"},
}
"""What each of them does without, beside what all of them do without."""
_IMPORT = re.compile(r"import time: +\d+ \| +\d+ \| +(\w+)")


def imported(program: Program) -> set[str]:
    """Return the packages that it has imported up to now."""
    return set(_IMPORT.findall(program.log))


@pytest.fixture(scope="module")
def empty_database_url(empty_database_url: str) -> str:
    """A database whose schema is up to date, as at most starts."""
    migrate(empty_database_url)
    return empty_database_url


@pytest.mark.parametrize("module", OTHERS)
def test_at_rest_a_process_has_nothing_that_it_does_not_need(running: Stack, module: str) -> None:
    (program,) = [each for each in running.programs if each.module == module]
    found = imported(program)

    assert {"grpc", "pydantic", "structlog"} <= found
    assert found & (NEVER | OTHERS[module] | {"generation_svc"} - {module}) == set()


async def test_the_first_job_brings_what_checks_its_inputs(running: Stack) -> None:
    job = await running.create("a fox")
    await running.history.settled(job.id)

    found = imported(running.service)
    assert "jsonschema" in found
    assert found & NEVER == set()
