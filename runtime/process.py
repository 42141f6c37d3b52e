"""How a process starts: on uvloop, with all files it may open, and one line when it cannot."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from runtime.file_limit import raise_file_limit

EXIT_CANNOT_START = 1
"""The exit code of a process that something outside of it kept from starting."""


class StartError(Exception):
    """The process cannot start, and its text is the one line that says why."""


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a process to its end; a StartError becomes one line on stderr and exit code 1."""
    raise_file_limit()
    try:
        # A policy of asyncio's would also hold for the loops of tests and libraries.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except (StartError, BaseExceptionGroup) as error:
        reason = cause_of(error, StartError)
        if reason is None:
            raise
        sys.stderr.write(f"{reason}\n")
        raise SystemExit(EXIT_CANNOT_START) from None


def cause_of(error: BaseException, *kinds: type[Exception]) -> Exception | None:
    """Find an error of these kinds in what a task group may have wrapped it in."""
    if isinstance(error, BaseExceptionGroup):
        found = (cause_of(each, *kinds) for each in error.exceptions)
        return next((each for each in found if each), None)
    return error if isinstance(error, kinds) else None
