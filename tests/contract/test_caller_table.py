"""The table of docs/security.md: who may call what about whose things, every cell of it tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import PermissionDenied
from generation_svc.rpc.permission import PERMISSIONS, check_permission
from tests.contract.caller_harness import (
    CALLS,
    PACKAGE,
    SITUATIONS,
    CallerHarness,
    Situation,
)
from tests.contract.method import METHODS

DOCUMENT = Path("docs/security.md")


def rows() -> dict[str, list[str]]:
    """Read the table: its first cell, then the others."""
    lines = DOCUMENT.read_text().splitlines()
    table = [line for line in lines if line.startswith(("| RPC |", "| `")) and line.count("|") > 9]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    return {first.strip("`"): rest for first, *rest in cells}


def cells() -> Iterator[object]:
    for rpc, expected in rows().items():
        if rpc != "RPC":
            for column, outcome in zip(SITUATIONS, expected, strict=True):
                yield pytest.param(rpc, SITUATIONS[column], outcome, id=f"{rpc}-{column}")


@pytest.mark.parametrize(("rpc", "situation", "expected"), [*cells()])
async def test_a_call_ends_as_the_table_says(
    callers: CallerHarness, rpc: str, situation: Situation, expected: str
) -> None:
    assert await callers.outcome(rpc, situation) == expected


def test_the_table_has_every_rpc_and_every_situation() -> None:
    written = rows()
    assert written.pop("RPC") == list(SITUATIONS)
    assert set(written) == {method.rpartition(".")[2] for method in METHODS}
    assert set(CALLS) == set(written)


def test_every_rpc_has_a_row_of_permissions() -> None:
    assert set(PERMISSIONS) == set(METHODS)


def test_an_rpc_without_a_row_is_nobodys() -> None:
    with pytest.raises(PermissionDenied):
        check_permission(Caller.trusted("local"), method=f"/{PACKAGE}.GenerationService/NewRpc")


def test_every_scope_has_a_column() -> None:
    assert {f"`{scope}`" for scope in Scope} <= set(SITUATIONS)
