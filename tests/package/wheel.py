"""Builds the wheel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = (
    "atelier",
    "callback_gateway",
    "devrun",
    "edge_bot",
    "generation_client",
    "generation_svc",
    "runtime",
    "sandbox",
)
"""The packages that it brings."""
SCRIPTS = {
    "atelier-bot": "edge_bot.__main__:main",
    "atelier-gateway": "callback_gateway.__main__:main",
    "atelier-run": "devrun.run:main",
    "atelier-sandbox": "sandbox.__main__:main",
    "atelier-service": "generation_svc.__main__:main",
    "atelier-token": "generation_svc.token:main",
}


def pip(*arguments: str, python: str = sys.executable) -> None:
    """Run pip; what it says is shown only if it fails."""
    quiet = ("-m", "pip", "--disable-pip-version-check", "-q")
    done = subprocess.run([python, *quiet, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def built(folder: Path) -> Path:
    """Build the wheel into a folder, with the hatchling that is here, and return it."""
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel
