"""The configured callers: the callers' file, its renewal and the rate limits."""

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
