"""What every store in memory is made of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from tests.model.run import Run
from tests.model.table import Tables

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S", bound="Store")


class Turn(Protocol):
    """A transaction as its stores see it."""

    run: Run

    def enter(self) -> None: ...


class Store:
    """What the stores of one transaction share: the run, and whether its step has begun."""

    def __init__(self, transaction: Turn) -> None:
        self._transaction = transaction
        self._run = transaction.run

    @property
    def _tables(self) -> Tables:
        return self._run.tables

    def _write(self, **changes: Any) -> None:
        self._run.tables = replace(self._run.tables, **changes)


def answered(
    method: Callable[Concatenate[_S, _P], _R],
) -> Callable[Concatenate[_S, _P], Coroutine[Any, Any, _R]]:
    """Make a statement of the database: its answer is logged, and repeated in a replay."""

    @wraps(method)
    async def call(self: _S, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        self._transaction.enter()
        return self._run.perform(partial(method, self, *args, **kwargs))

    return cast(Callable[Concatenate[_S, _P], Coroutine[Any, Any, _R]], call)
