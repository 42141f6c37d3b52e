"""`ImportBalances` and `UndoImport` of `WalletService`."""

from decimal import Decimal
from uuid import UUID

from atelier.wallet.v1 import imported_balance_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.imported_balance import LONGEST, ImportedBalance, parse_decimal
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.usecase.money import import_balances

MAX_BALANCES = 10_000
MAX_RATE_LENGTH = 32
MAX_PROBLEM_LENGTH = 200


class BalanceImportServicer:
    """Answers the calls by which the balances of an earlier bot come in."""

    _deps: Dependencies

    async def ImportBalances(
        self, request: pb.ImportBalancesRequest, context: ServicerContext
    ) -> pb.ImportBalancesResponse:
        """Import balances, or tell what an import would do."""
        outcome = await import_balances.import_balances(
            self._deps, current_caller(), batch=_batch_from_proto(request), apply=request.apply
        )
        return pb.ImportBalancesResponse(
            imported_count=outcome.count,
            imported_credits=outcome.credits,
            repeated_count=outcome.repeated,
            rejects=[
                imported_balance_pb2.RejectedBalance(
                    index=index, problem=problem[:MAX_PROBLEM_LENGTH]
                )
                for index, problem in sorted(outcome.rejects.items())
            ],
        )

    async def UndoImport(
        self, request: pb.UndoImportRequest, context: ServicerContext
    ) -> pb.UndoImportResponse:
        """Take back what a batch imported."""
        bounds = Bounds()
        batch_id = _uuid(bounds, request.batch_id)
        reason = bounds.reason(request.reason)
        bounds.check()
        outcome = await import_balances.undo_import(
            self._deps, current_caller(), batch_id=batch_id, reason=reason
        )
        return pb.UndoImportResponse(undone_count=outcome.undone, spent_count=outcome.spent)


def _batch_from_proto(request: pb.ImportBalancesRequest) -> import_balances.ImportBatch:
    bounds = Bounds()
    batch_id = _uuid(bounds, request.batch_id)
    rate = _rate(bounds, request.rate)
    reason = bounds.reason(request.reason)
    if not 1 <= len(request.balances) <= MAX_BALANCES:
        words = f"Must be from 1 to {MAX_BALANCES}, not {len(request.balances)}."
        bounds.refuse("balances", words)
    bounds.check()
    balances = [
        _balance_from_proto(bounds, each, index=index)
        for index, each in enumerate(request.balances)
    ]
    bounds.check()
    return import_balances.ImportBatch(batch_id, balances, rate, reason)


def _balance_from_proto(
    bounds: Bounds, balance: imported_balance_pb2.ImportedBalance, *, index: int
) -> ImportedBalance:
    texts = {
        name: bounds.text(
            f"balances[{index}].{name}",
            getattr(balance, name),
            most=most,
            is_required=name != "owner",
        )
        for name, most in LONGEST.items()
    }
    return ImportedBalance(**texts)


def _rate(bounds: Bounds, text: str) -> Decimal:
    rate = parse_decimal(text) if len(text) <= MAX_RATE_LENGTH else None
    if not rate:
        words = f"Must be a decimal number above 0 of 1 to {MAX_RATE_LENGTH} characters."
        bounds.refuse("rate", words)
    return rate or Decimal(1)


def _uuid(bounds: Bounds, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        bounds.refuse("batch_id", "Must be a UUID.")
        return UUID(int=0)
