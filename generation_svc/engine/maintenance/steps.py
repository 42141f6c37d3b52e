"""The steps of maintenance; each is independent of the others and safe in every replica."""

from generation_svc.engine.callback_replay import replay_callbacks
from generation_svc.engine.maintenance.deadlines import end_overdue, end_unstarted
from generation_svc.engine.maintenance.delays import label_delays
from generation_svc.engine.maintenance.orphan_bytes import remove_orphans
from generation_svc.engine.maintenance.orphans import mark_orphans

STEPS = (
    mark_orphans,
    end_unstarted,
    end_overdue,
    label_delays,
    replay_callbacks,
    remove_orphans,
)
"""All of it; each is independent of the others, and a fault in one stops none of them."""
