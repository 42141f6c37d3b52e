"""Install the wheel into an empty environment and run all of it there: `make check-package`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import httpx2
from pydantic import SecretStr

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_SUCCEEDED
from generation_client import connect
from tests.package.wheel import ROOT, SCRIPTS, built, pip
from tests.port import free_address

START_SECONDS = 180.0


def main() -> None:
    """Build, install, run until the bot is ready, stop."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = built(folder / "dist")
        venv.create(folder / "env", with_pip=True)
        python = str(folder / "env/bin/python")
        constraints = str(ROOT / "constraints.txt")
        pip("install", "-c", constraints, f"{wheel}[run]", python=python)
        pip("check", python=python)
        missing = [each for each in SCRIPTS if not (folder / "env/bin" / each).is_file()]
        assert not missing, missing
        (folder / "empty").mkdir()
        _run(folder / "env/bin/atelier-run", folder=folder / "empty")
    sys.stdout.write(f"{wheel.name}: installed, and all of it ran\n")


def _run(script: Path, *, folder: Path) -> None:
    parts = ("GENERATION", "GATEWAY", "EDGE", "SANDBOX_KIE", "SANDBOX_TELEGRAM")
    listens = {f"{part}_LISTEN": free_address() for part in parts}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(script)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], **listens},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_ready(f"http://{listens['EDGE_LISTEN']}/readyz", process, folder / "log")
            asyncio.run(_draw(listens["GENERATION_LISTEN"], folder=folder))
            assert process.poll() is None, (folder / "log").read_text()
        finally:
            code = _ended(process)
    assert code == 0, (folder / "log").read_text()


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Stop it as Ctrl-C does, and whatever is left of it if that takes too long."""
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the edge is: it is so when the service is."""
    deadline = time.monotonic() + START_SECONDS
    while not _answers(url):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


async def _draw(address: str, *, folder: Path) -> None:
    """Ask for a picture, and see that there is one."""
    token = SecretStr((folder / ".atelier/caller/local").read_text().strip())
    asked = pb.CreateJobRequest(model_id="z-image")
    asked.inputs.update({"prompt": "a fox in the snow"})
    async with connect(address, token=token) as client:
        job = (await client.generation.CreateJob(asked, timeout=30, wait_for_ready=True)).job
        wait = pb.WaitJobRequest(job_id=job.id)
        wait.timeout.FromSeconds(60)
        job = (await client.generation.WaitJob(wait, timeout=70)).job
    assert job.state == JOB_STATE_SUCCEEDED, job


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


if __name__ == "__main__":
    main()
