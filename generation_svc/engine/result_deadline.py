"""Decides how long and how often fetching a result is tried, by the kind of trouble.

The end is counted from the first try that had trouble of the same kind: time in which nobody tried,
or in which nobody was there to ask, says nothing of a link.
"""

from datetime import datetime, timedelta

from generation_svc.domain.attempt import Attempt, Trouble, hard_stop_time
from generation_svc.domain.error import HostUnreachable, NotExamined, Unavailable
from generation_svc.lifecycle.dependencies import Dependencies

DELAY_FROM_TRY = 3
"""From which try on the user is told that the result is late."""
LONGEST_RETRY_FACTOR = 32
"""How many times the first wait the longest one is."""
OUTAGE_FACTOR = 8
"""How many times longer a host is waited for that is away or says "not now"."""


def kind_of(attempt: Attempt, troubles: list[Exception]) -> Trouble:
    """Return what the troubles of one try say: of us, of the host, or of the links."""
    if any(_is_ours(attempt, error) for error in troubles):
        return Trouble.OURS
    is_outage = any(isinstance(error, HostUnreachable) for error in troubles)
    return Trouble.HOST if is_outage else Trouble.LINK


def _is_ours(attempt: Attempt, error: Exception) -> bool:
    # What ends the processes that examine it, again and again, is no media.
    is_suspect = isinstance(error, NotExamined) and attempt.trouble is not None
    return isinstance(error, Unavailable) and not is_suspect


def deadline_of(deps: Dependencies, attempt: Attempt, *, kind: Trouble) -> datetime:
    """Return until when it is worth trying, which is never before the ladder's first steps."""
    timing, now = deps.timing, deps.database.now()
    stop_time = hard_stop_time(attempt, hard_deadline=timing.hard_deadline)
    spans = {
        Trouble.LINK: timing.fetch_timeout,
        Trouble.HOST: max(timing.fetch_timeout * OUTAGE_FACTOR, timing.outage_timeout),
        Trouble.OURS: timing.hard_deadline,
    }
    since = attempt.trouble_time if attempt.trouble is kind else None
    deadline = min((since or now) + spans[kind], stop_time)
    if attempt.fetch_tries <= DELAY_FROM_TRY:
        return max(deadline, now + _wait(deps, attempt.fetch_tries))
    return deadline


def is_last_try(deps: Dependencies, attempt: Attempt) -> bool:
    """Return whether a try that has trouble with a link again is the last one."""
    is_late = attempt.trouble is Trouble.LINK and attempt.fetch_tries > DELAY_FROM_TRY
    deadline = deadline_of(deps, attempt, kind=Trouble.LINK)
    return is_late and deps.database.now() >= deadline


def retry_after(deps: Dependencies, *, tries: int, deadline: datetime) -> timedelta:
    """Return the wait before the next try; the last one comes when the time is over."""
    left = deadline - deps.database.now()
    return min(_wait(deps, tries), max(left, deps.timing.fetch_retry))


def _wait(deps: Dependencies, tries: int) -> timedelta:
    """Return how long to wait after so many tries: twice as long each time."""
    factor = min(1 << min(max(tries, 1) - 1, 10), LONGEST_RETRY_FACTOR)
    return deps.timing.fetch_retry * factor
