"""What an attacker may have learned of the running system: its real ids."""

from __future__ import annotations

from dataclasses import dataclass, field

from atelier.generation.v1 import generation_service_pb2 as pb
from tests.e2e.person import photo
from tests.e2e.program import until
from tests.e2e.secret import callback_tokens
from tests.e2e.stack import Stack

MOST = 400
"""How many ids of a kind are remembered."""
FOR_EVER = "run for ever"


@dataclass(kw_only=True)
class Known:
    """Real ids by kind; what attacks learn is added."""

    jobs: list[str]
    media: list[str]
    uploads: list[str]
    links: list[str]
    """Tokens of links to media."""
    sha256: list[str]
    """What the bytes behind those links are."""
    tasks: list[str]
    done_tokens: list[str]
    """Tokens of callbacks whose jobs are over."""
    victims: list[str]
    """Jobs in every state, which a forged callback must not change."""
    leases: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    """Tokens of pages, of any query."""
    top_ups: list[str] = field(default_factory=list)

    def learn(self, kind: list[str], value: str) -> None:
        """Remember an id, in place of the oldest learned one."""
        kind.append(value)
        del kind[:-MOST]


async def gather(stack: Stack) -> Known:
    """Have jobs of every kind made, and return what there is to know of them."""
    await stack.kie.fault("waiting_forever", match=FOR_EVER)
    await stack.kie.fault("generation_failed", match="to fail")
    over = [(await stack.create(prompt)).id for prompt in ("to succeed", "to fail")]
    for job_id in over:
        await stack.history.settled(job_id)
    tokens = callback_tokens(await stack.kie.requests())
    running = [(await stack.create(f"{FOR_EVER} {number}")).id for number in range(2)]

    async def are_running() -> bool:
        states = [(await stack.history.job(each))["state"] for each in running]
        return states == ["running", "running"]

    await until(are_running, within_s=20, what="two running jobs")
    done = (await stack.client.generation.GetJob(pb.GetJobRequest(job_id=over[0]))).job
    return Known(
        jobs=[*over, *running],
        media=[each.id for each in done.result.media],
        uploads=[await _upload(stack)],
        sha256=[each.sha256 for each in done.result.media],
        links=[each.download_uri.rpartition("/")[2] for each in done.result.media],
        tasks=[each["taskId"] for each in await stack.kie.tasks()],
        done_tokens=sorted(tokens),
        victims=[*over, *running],
    )


async def _upload(stack: Stack) -> str:
    requests = iter([pb.UploadInputRequest(data=photo(64, 64))])
    return (await stack.client.generation.UploadInput(requests)).upload.id
