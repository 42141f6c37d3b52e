"""What a planted bug is: a guard of the product or of the storage that is taken away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from generation_svc.domain.job import Job
from tests.model.scope import Scope
from tests.model.search import Report, search

Patch = tuple[Any, str, Any]
"""Where a guard is, what it is called there, and what is there instead."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A guard that is taken away."""

    guard: str
    breaks: str
    """The invariant that does not hold without it."""
    patches: tuple[Patch, ...]
    scope: Scope

    def hunted(self) -> Report:
        """Take the guard away and search for what breaks."""
        with ExitStack() as stack:
            for target, name, instead in self.patches:
                stack.enter_context(patch.object(target, name, instead))
            return search(self.scope)


def always(answer: object) -> Callable[..., object]:
    """Return a function that always answers this."""
    return lambda *_, **__: answer


async def nothing(*_: object, **__: object) -> None:
    """Do nothing instead."""
    return


def at_finish_deadline(_: object, job: Job, *, now: Any, hard_deadline: object) -> bool:
    """Look at the finish deadline alone."""
    return job.finish_deadline_time is not None and job.finish_deadline_time <= now
