"""Who may call, as the operator wrote it down: the callers' file, its renewal, the limits."""

from generation_svc.access.directory import CallerDirectory, CallLimits
from generation_svc.access.document import CallersError, Grant, parse_callers
from generation_svc.access.renewal import renewed

__all__ = [
    "CallLimits",
    "CallerDirectory",
    "CallersError",
    "Grant",
    "parse_callers",
    "renewed",
]
