"""A client that was built with the contract of 0.1.0 gets from this service what it needs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.contract.service import Service
from tests.integration.sandbox_telegram import picture
from tests.release import unpack_code

PROGRAM = Path(__file__).with_name("client_0_1.py")


async def ask(service: Service, folder: Path) -> dict[str, Any]:
    """Run the client in a process of its own, with that release's generated code alone."""
    code = folder / "code"
    unpack_code(code)
    file = folder / "cat.png"
    file.write_bytes(picture(96, 64))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), service.address, str(file)),
        env={**os.environ, "PYTHONPATH": str(code / "generated"), "GRPC_VERBOSITY": "NONE"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    assert process.returncode == 0, err.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


async def test_every_way_of_a_client_of_0_1_ends_where_it_did(
    working_service: Service, tmp_path: Path
) -> None:
    got = await ask(working_service, tmp_path)

    assert got["knows_media_inputs"] is False  # it is that release's contract indeed
    assert got["picture_fields"] == {
        "z-image": "",
        "qwen/text-to-image": "",
        "qwen/image-to-image": "image",
        "qwen/image-edit": "image",
    }
    assert all(got["titles"])
    assert got["is_same_job"]
    assert got["revisions"] == list(range(got["revisions"][0], got["revisions"][-1] + 1))
    assert got["state"] == "JOB_STATE_SUCCEEDED"
    assert got["sizes"][:2] == [96, True]
    assert got["bytes"] == got["sizes"][2] > 0
    assert got["is_listed"]
    assert got["is_read"]
    assert got["delivered"] == ["JOB_STATE_SUCCEEDED"]
