from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.contract.caller_harness import CallerHarness, caller_bench
from tests.contract.service import Service, sandbox_kie, serving
from tests.postgres import migrated_database


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """The service with nobody at work: jobs stay as the test leaves them."""
    async with serving(database_url, tmp_path) as service:
        yield service


@pytest.fixture
async def working_service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """The service at work with a sandbox KIE that it polls."""
    async with sandbox_kie() as url, serving(database_url, tmp_path, kie_url=url) as service:
        yield service


@pytest.fixture(scope="session")
async def idle_service(
    postgres: psycopg.Connection, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """One service for all the tests that change nothing."""
    with migrated_database(postgres, postgres_url) as url:
        async with serving(url, tmp_path_factory.mktemp("media")) as service:
            yield service


@pytest.fixture(scope="session")
async def callers(
    postgres: psycopg.Connection, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CallerHarness]:
    """One service with callers of every kind, for tests that name what they made."""
    with migrated_database(postgres, postgres_url) as url:
        async with caller_bench(url, tmp_path_factory.mktemp("media")) as harness:
            yield harness
