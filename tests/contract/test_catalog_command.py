"""`python -m generation_svc.catalog import`: what an operator sees, and what it changes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.server import address, bind, running
from tests.contract.service import Service
from tests.contract.test_catalog_from_kie import NEW, FakeKie
from tests.contract.test_catalog_service import NEW_ID, new_document, offer, offered


async def command(service: Service, *arguments: str, **env: str) -> tuple[int | None, str, str]:
    """Run the command against a service, with nobody at a terminal."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "generation_svc.catalog", "import", *arguments),
        env={**os.environ, "GENERATION_ADDRESS": service.address, **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), errors.decode()


def written(folder: Path, *documents: dict[str, Any]) -> str:
    path = folder / "documents.json"
    path.write_text(json.dumps({"models": documents}, ensure_ascii=False), encoding="utf-8")
    return str(path)


async def test_it_shows_a_review_and_applies_it_only_when_asked(
    service: Service, tmp_path: Path
) -> None:
    path = written(tmp_path, new_document())
    code, out, _ = await command(service, path)
    assert code == 0
    assert out.splitlines() == [
        f"new          {NEW_ID}",
        "Nothing was changed: --apply imports what was reviewed.",
    ]
    assert NEW_ID not in await offered(service)
    code, out, _ = await command(service, path, "--apply")
    assert code == 0
    assert "Imported; the catalog is now" in out
    assert NEW_ID in await offered(service)
    dearer = written(tmp_path, new_document(offers=[offer(credits_="5")]))
    _, out, _ = await command(service, dearer)
    assert out.splitlines()[:2] == [
        f"price moved  {NEW_ID}",
        '    offers[0].price.parts[0].rates[0].credits: "4" -> "5"',
    ]


async def test_a_bad_document_ends_it_with_the_place(service: Service, tmp_path: Path) -> None:
    path = written(tmp_path, new_document(options={}))
    code, _, errors = await command(service, path, "--apply")
    assert code == 1
    assert errors.startswith("Nothing was changed: ")
    assert "field mood has no label" in errors
    assert "Traceback" not in errors
    assert NEW_ID not in await offered(service)


@pytest.mark.parametrize("text", ["{", "7", ""])
async def test_what_is_no_document_ends_it_with_a_sentence(
    service: Service, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    code, _, errors = await command(service, str(path))
    assert code == 1
    assert "Traceback" not in errors
    assert text == "7" or f"{path}: is not JSON" in errors


@asynccontextmanager
async def served(kie: FakeKie) -> AsyncIterator[str]:
    """Serve a KIE that knows nothing but to describe itself."""

    async def answer(request: Request) -> JSONResponse:
        path = request.url.path.removeprefix("/api/v1/")
        assert request.headers["authorization"] == "Bearer a-key"
        return JSONResponse(kie.data(path))

    sock = bind("127.0.0.1:0")
    app = Starlette(routes=[Route("/{path:path}", answer)])
    async with running(app, sock=sock):
        yield f"http://{address(sock)}"


async def test_it_reads_what_kie_says_and_says_that_this_is_unproved(service: Service) -> None:
    kie = FakeKie()
    kie.listing = kie.listing[:1]
    async with served(kie) as url:
        code, out, errors = await command(
            service, "--from-kie", "--apply", KIE_API_URL=url, KIE_API_KEY="a-key"
        )
    assert code == 0, errors
    assert "--from-kie is unproved" in out
    assert f"new          {NEW}" in out.splitlines()
    assert "gone         z-image: KIE lists it no more; it stays until you switch it off" in out
    assert NEW in service.deps.models.catalog.models
    assert NEW not in await offered(service)  # it is not free, and nobody can pay yet
