"""Documents about money: statements of a period, and receipts of top-ups."""

from datetime import timedelta

from atelier.wallet.v1 import statement_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.statement import MOST_SPAN, Period
from generation_svc.domain.statement import StatementForm as Form
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import MAX_LANGUAGE_LENGTH, Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.usecase.money import read_receipt, read_statement

_FORMS = {
    statement_pb2.STATEMENT_FORMAT_UNSPECIFIED: Form.CSV,
    statement_pb2.STATEMENT_FORMAT_CSV: Form.CSV,
    statement_pb2.STATEMENT_FORMAT_PDF: Form.PDF,
}


class StatementServicer:
    """Answers the calls for a statement and for a receipt."""

    _deps: Dependencies

    async def GetStatement(
        self, request: pb.GetStatementRequest, context: ServicerContext
    ) -> pb.GetStatementResponse:
        """Give an owner's statement as a file."""
        bounds, caller = Bounds(), current_caller()
        owner = bounds.text("owner", request.owner) or caller.own_wallet
        language = bounds.text("language_code", request.language_code, most=MAX_LANGUAGE_LENGTH)
        period = _period(bounds, request)
        if request.format not in _FORMS:
            bounds.refuse("format", "Must be one of StatementFormat.")
        bounds.check()
        statement = await read_statement.read_statement(
            self._deps, caller, owner=owner, period=period, language=language
        )
        made = await self._deps.statements.statement(
            statement, form=_FORMS[request.format], caller=caller.name
        )
        return pb.GetStatementResponse(
            data=made.data, mime_type=made.mime_type, file_name=made.name
        )

    async def GetReceipt(
        self, request: pb.GetReceiptRequest, context: ServicerContext
    ) -> pb.GetReceiptResponse:
        """Give the receipt of a top-up as a file."""
        bounds, caller = Bounds(), current_caller()
        top_up_id = bounds.text("top_up_id", request.top_up_id, is_required=True)
        language = bounds.text("language_code", request.language_code, most=MAX_LANGUAGE_LENGTH)
        bounds.check()
        receipt = await read_receipt.read_receipt(
            self._deps, caller, top_up_id=top_up_id, language=language
        )
        made = await self._deps.statements.receipt(receipt, caller=caller.name)
        return pb.GetReceiptResponse(data=made.data, mime_type=made.mime_type, file_name=made.name)


def _period(bounds: Bounds, request: pb.GetStatementRequest) -> Period:
    for name in ("start_time", "end_time"):
        if not request.HasField(name):
            bounds.refuse(name, "Required.")
    start = bounds.moment("start_time", request.start_time)
    end = bounds.moment("end_time", request.end_time)
    # Of a time that is none, nothing can be said of the other.
    if bounds.are_kept and not timedelta(0) < end - start <= MOST_SPAN:
        bounds.refuse("end_time", f"Must be after start_time, by at most {MOST_SPAN.days} days.")
    return Period(start, end)
