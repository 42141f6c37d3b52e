"""Who may call, as the operator wrote it down: the callers' file, its renewal, the limits."""

from generation_svc.caller.directory import CallerDirectory, CallLimits
from generation_svc.caller.document import CallersError, Grant, parse_callers
from generation_svc.caller.renewal import renewed

__all__ = [
    "CallLimits",
    "CallerDirectory",
    "CallersError",
    "Grant",
    "parse_callers",
    "renewed",
]
