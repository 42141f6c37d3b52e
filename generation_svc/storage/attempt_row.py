"""Reads attempts from rows."""

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import LIVE_STATES, Attempt, AttemptState, Trouble
from generation_svc.storage import document
from generation_svc.storage.connection import Row

ATTEMPT_COLUMNS = (
    "id",
    "job_id",
    "number",
    "state",
    "submit_time",
    "provider",
    "account",
    "task_id",
    "accept_time",
    "observation",
    "result_items",
    "item_ids",
    "cost",
    "end_time",
    "ended_by",
    "fetch_tries",
    "trouble",
    "trouble_time",
    "read_tries",
    "cost_reads",
)
"""What an attempt is read from."""


def attempt_from_row(row: Row, *, prefix: str = "") -> Attempt:
    """Read an attempt from its row, or from the columns of one that begin with a prefix."""
    own = {name: row[prefix + name] for name in ATTEMPT_COLUMNS}
    return Attempt(
        id=own["id"],
        job_id=own["job_id"],
        number=own["number"],
        state=AttemptState(own["state"]),
        submit_time=own["submit_time"],
        account=Account(own["provider"], own["account"]),
        task_id=own["task_id"],
        accept_time=own["accept_time"],
        observation=document.observation_from_document(
            own["observation"],
            own["result_items"],
            item_ids=own["item_ids"] or (),
            cost=own["cost"],
        ),
        end_time=own["end_time"],
        ended_by=own["ended_by"],
        fetch_tries=own["fetch_tries"],
        trouble=Trouble(own["trouble"]) if own["trouble"] else None,
        trouble_time=own["trouble_time"],
        read_tries=own["read_tries"],
        cost_reads=own["cost_reads"],
        model_id=row.get("model_id", ""),  # of its job, where a statement gives it
        model_digest=row.get("model_digest"),
    )


def is_live(prefix: str = "state") -> str:
    """Return the rule that an attempt may still bring a result."""
    return f"{prefix} IN ({', '.join(repr(str(state)) for state in sorted(LIVE_STATES))})"
