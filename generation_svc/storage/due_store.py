"""What is due next, on PostgreSQL: one statement, each part of it the first entry of an index."""

from collections.abc import Mapping
from datetime import timedelta

from generation_svc.domain.attempt import LIVE_STATES
from generation_svc.domain.port.due import DueKind, DueRules
from generation_svc.storage.connection import Connection


class PostgresDueStore:
    """The `DueStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def look(self, rules: DueRules) -> Mapping[DueKind, timedelta]:
        cursor = await self._connection.execute(
            LOOK,
            {
                "readable": [str(account) for account in rules.readable],
                "submit_lease": rules.submit_lease,
                "hard_deadline": rules.hard_deadline,
                "callback_age": rules.callback_age,
                "kept": rules.untrusted_kept,
            },
        )
        row = await cursor.fetchone()
        spans = {DueKind(kind): not_past(span) for kind, span in (row or {}).items()}
        return {kind: span for kind, span in spans.items() if span is not None}


def not_past(due: timedelta | None) -> timedelta | None:
    """Return in how long something is due; what should have been done before is due now."""
    return due if due is None else max(due, timedelta(0))


# One for each state, since each is then the first entry of an index.
_OLDEST_LIVE = ", ".join(
    f"(SELECT min(submit_time) FROM attempt WHERE state = '{state}')"
    for state in sorted(LIVE_STATES)
)
# The states are literals: with parameters no partial index would be used. OFFSET reads the entries
# of what is not believed, of which there are hardly more than are kept.
LOOK = f"""
SELECT
  (SELECT min(dispatch_time) FROM job WHERE state = 'queued') - now() AS dispatch,
  (SELECT min(read_time) FROM attempt
   WHERE state = 'accepted' AND provider || '/' || account = ANY(%(readable)s)) - now() AS read,
  (SELECT min(fetch_time) FROM attempt WHERE state = 'succeeded') - now() AS fetch,
  (SELECT min(due_time) FROM delivery
   WHERE url IS NOT NULL AND state IN ('pending', 'leased', 'begun')) - now() AS webhook,
  (SELECT min(cost_time) FROM attempt WHERE cost_time IS NOT NULL
   AND provider || '/' || account = ANY(%(readable)s)) - now() AS cost,
  (SELECT min(submit_time) FROM attempt WHERE state = 'submitting')
    + %(submit_lease)s::interval - now() AS orphan,
  (SELECT min(start_deadline_time) FROM job WHERE state = 'queued') - now() AS start_deadline,
  least(least({_OLDEST_LIVE}) + %(hard_deadline)s::interval,
        (SELECT min(job.finish_deadline_time) FROM attempt JOIN job ON job.id = attempt.job_id
         WHERE attempt.state = 'unknown')) - now() AS hard_stop,
  (SELECT min(receive_time) FROM callback_receipt WHERE apply_time IS NULL)
    + %(callback_age)s::interval - now() AS callback,
  CASE WHEN EXISTS (
    SELECT FROM callback_receipt WHERE NOT is_trusted
    ORDER BY receive_time DESC OFFSET %(kept)s LIMIT 1) THEN interval '0' END AS surplus,
  CASE WHEN EXISTS (
    SELECT FROM job WHERE state = 'queued' AND delay_reason IN
      ('provider_unreachable', 'provider_maintenance', 'provider_account'))
    OR EXISTS (SELECT FROM breaker WHERE reason IS NOT NULL)
    OR EXISTS (SELECT FROM account_breaker WHERE reason IS NOT NULL)
  THEN interval '0' END AS delay
"""
