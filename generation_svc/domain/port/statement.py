"""What writes documents about money."""

from typing import Protocol

from generation_svc.domain.receipt import Receipt
from generation_svc.domain.statement import Statement, StatementFile, StatementForm


class StatementWriter(Protocol):
    """Writes statements and receipts; what it takes for that, no other call misses."""

    async def statement(
        self, statement: Statement, *, form: StatementForm, caller: str
    ) -> StatementFile:
        """Return a statement in a form. Raises Overloaded and Unavailable."""
        ...

    async def receipt(self, receipt: Receipt, *, caller: str) -> StatementFile:
        """Return a receipt. Raises Overloaded and Unavailable."""
        ...
