"""What a client of the last release relies on cannot be taken out of the contract unseen."""

import asyncio
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.tool import SCRIPTS

V1 = "proto/atelier/generation/v1"
IMAGE = "proto/released.binpb"
FIRST_IMAGE = "proto/released-0.1.0.binpb"
WIRE = '{"version": "v2", "modules": [{"path": "proto"}], "breaking": {"use": ["WIRE"]}}'


@dataclass(frozen=True)
class Break:
    """A change of one file, and a word that the complaint about it has to hold."""

    file: str
    pattern: str
    replacement: str
    complaint: str


BREAKS = {
    "an RPC is deleted": Break(
        "generation_service.proto", r"  rpc WaitJob\((?s:.*?)\n  }\n", "", "WaitJob"
    ),
    "a service is deleted": Break(
        "edge_service.proto", r"\nservice EdgeService \{(?s:.*?)\n}\n", "\n", "EdgeService"
    ),
    "an RPC answers with another message": Break(
        "generation_service.proto",
        r"rpc GetJob\(GetJobRequest\) returns \(GetJobResponse\)",
        "rpc GetJob(GetJobRequest) returns (WaitJobResponse)",
        "GetJob",
    ),
    "an RPC becomes a stream": Break(
        "generation_service.proto",
        r"returns \(GetJobResponse\)",
        "returns (stream GetJobResponse)",
        "GetJob",
    ),
    "a field that 0.2.0 brought is deleted": Break(
        "generation_service.proto", r"  string filter = 4;\n", "", "filter"
    ),
    "a field is deleted": Break(
        "media.proto", r"(message Upload (?s:.*?))  string sha256 = 6;\n", r"\1", "sha256"
    ),
    "a deleted field's number and name are reserved": Break(
        "media.proto",
        r"(message Upload (?s:.*?))  string sha256 = 6;\n",
        r'\1  reserved 6;\n  reserved "sha256";\n',
        "sha256",
    ),
    "a field is renamed": Break(
        "session.proto", r"int64 version = 4", "int64 generation = 4", "version"
    ),
    "a field has another number": Break(
        "session.proto", r"int64 version = 4", "int64 version = 14", "version"
    ),
    "a field has another type": Break(
        "session.proto", r"int64 version = 4", "int32 version = 4", "version"
    ),
    "an enum value is renamed": Break(
        "job.proto", r"JOB_STATE_CANCELLED = 5", "JOB_STATE_ABORTED = 5", "JOB_STATE_CANCELLED"
    ),
    "an enum value is deleted": Break(
        "callback_service.proto",
        r"  CALLBACK_OUTCOME_UNREADABLE = 6;\n",
        "",
        'enum value "6" on enum "CallbackOutcome"',
    ),
    "a field leaves its oneof": Break(
        "job.proto", r"  oneof outcome \{((?s:.*?))\n  }\n", r"\1\n", "outcome"
    ),
    "a message is deleted": Break(
        "media.proto", r"\nmessage Upload \{(?s:.*?)\n}\n", "\n", "Upload"
    ),
}


WIRE_BREAKS = {
    "a field has another number": BREAKS["a field has another number"],
    "a field has another type": Break(
        "session.proto", r"int64 version = 4", "string version = 4", "version"
    ),
    "a field's number is given away": Break(
        "model.proto", r"string picture_field = 6", "bool takes_media = 6", "takes_media"
    ),
    "a field is deleted": Break(
        "model.proto",
        r"  string picture_field = 6 \[deprecated = true\];\n",
        "",
        "picture_field",
    ),
}
"""What a client of 0.1.0 would misread or miss."""


async def breaking(
    root: Path, *, image: str = IMAGE, rules: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Compare the contract of a folder with a release, as `make check-contract` does."""
    process = await asyncio.create_subprocess_exec(
        SCRIPTS / "buf",
        *("breaking", "--against", image, *rules),
        cwd=root,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the contract, with the rules that it is held to."""
    shutil.copytree("proto", tmp_path / "proto")
    shutil.copy("buf.yaml", tmp_path)
    return tmp_path


async def test_the_contract_keeps_what_was_released(copy: Path) -> None:
    assert await breaking(copy) == (0, "")


async def test_the_contract_keeps_what_0_1_0_has_on_the_wire(copy: Path) -> None:
    assert await breaking(copy, image=FIRST_IMAGE, rules=("--config", WIRE)) == (0, "")


@pytest.mark.parametrize(
    "change", [pytest.param(each, id=name) for name, each in WIRE_BREAKS.items()]
)
async def test_a_change_that_a_client_of_0_1_0_would_misread_is_seen(
    copy: Path, change: Break
) -> None:
    path = copy / V1 / change.file
    changed, count = re.subn(change.pattern, change.replacement, path.read_text())
    assert count == 1
    path.write_text(changed)
    code, complaints = await breaking(copy, image=FIRST_IMAGE, rules=("--config", WIRE))
    assert code
    assert change.complaint in complaints


@pytest.mark.parametrize("change", [pytest.param(each, id=name) for name, each in BREAKS.items()])
async def test_a_change_that_breaks_a_client_is_seen(copy: Path, change: Break) -> None:
    path = copy / V1 / change.file
    changed, count = re.subn(change.pattern, change.replacement, path.read_text())
    assert count == 1
    path.write_text(changed)
    code, complaints = await breaking(copy)
    assert code
    assert change.complaint in complaints


async def test_a_deleted_file_is_seen(copy: Path) -> None:
    (copy / V1 / "callback_service.proto").unlink()
    code, complaints = await breaking(copy)
    assert code
    assert "callback_service.proto" in complaints
