"""The names under which changes are announced."""

from uuid import UUID

from generation_svc.domain.delivery import Destination, Queue, Telegram
from generation_svc.domain.port.notifier import WORK_PREFIX

DISPATCH = f"{WORK_PREFIX}dispatch"
ACCOUNT = "account"
"""An account at the provider can be used again, or tried."""
READ = f"{WORK_PREFIX}read"
FETCH = f"{WORK_PREFIX}fetch"
WEBHOOK = f"{WORK_PREFIX}webhook"
CATALOG = "catalog"
"""A layer of the catalog has changed."""


def of_job(job_id: UUID) -> str:
    """Return the topic of everything that changes a job."""
    return f"job:{job_id}"


def of_bot(bot_id: int) -> str:
    """Return the topic of deliveries for a bot."""
    return f"bot:{bot_id}"


def of_queue(queue: str, *, caller: str) -> str:
    """Return the topic of deliveries for a feed."""
    return f"queue:{caller}/{queue}"


def of_destination(destination: Destination, *, caller: str) -> str:
    """Return the topic of deliveries that go to a destination."""
    if isinstance(destination, Telegram):
        return of_bot(destination.bot_id)
    if isinstance(destination, Queue):
        return of_queue(destination.queue, caller=caller)
    return WEBHOOK
