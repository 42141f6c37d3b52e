"""How many files and connections the process may have open at once."""

from __future__ import annotations

import resource

import structlog

_logger = structlog.get_logger(__name__)


def raise_file_limit() -> None:
    """Raise the soft limit on open files to the hard one.

    Many systems start a process with a soft limit of 1,024, for the sake of programs that use
    select(); a thousand silent connections would then leave no descriptor for the database.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # macOS refuses "unlimited"
        _logger.warning(
            "the limit on open files could not be raised", limit=soft, reason=str(error)
        )
    else:
        _logger.info("raised the limit on open files", limit=hard, before=soft)


def connections_within(wanted: int, *, reserved: int) -> int:
    """Return how many connections may be open so that `reserved` descriptors stay free.

    A quarter of a limit that is too small for both is left to connections all the same.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return wanted
    room = max(limit - reserved, limit // 4)
    if room < wanted:
        _logger.warning(
            "fewer connections are accepted than the settings allow",
            connections=room,
            wanted=wanted,
            open_files=limit,
        )
    return min(wanted, room)
