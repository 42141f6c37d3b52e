"""`CheckLedger` of `WalletService`."""

import asyncio

from atelier.wallet.v1 import ledger_difference_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.ledger_audit import Difference
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.call import ServicerContext
from generation_svc.usecase.money.check_ledger import check_ledger

_checking = asyncio.Semaphore(1)
"""One check runs at a time: each keeps the database busy for as long as the ledger is large."""


class LedgerCheckServicer:
    """Answers what operators ask of the ledger as a whole."""

    _deps: Dependencies

    async def CheckLedger(
        self, request: pb.CheckLedgerRequest, context: ServicerContext
    ) -> pb.CheckLedgerResponse:
        """Check the ledger, and name each difference."""
        async with _checking:
            report = await check_ledger(self._deps)
        return pb.CheckLedgerResponse(
            differences=[_difference_to_proto(each) for each in report.differences],
            transfer_count=report.counts.get("transfer", 0),
            wallet_count=report.counts.get("wallet", 0),
        )


def _difference_to_proto(difference: Difference) -> ledger_difference_pb2.LedgerDifference:
    return ledger_difference_pb2.LedgerDifference(
        rule=difference.rule, subject=difference.subject, problem=difference.problem
    )
