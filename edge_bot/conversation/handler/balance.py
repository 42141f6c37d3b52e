"""What the wallet of the user of an interaction has, and how it came to that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from atelier.generation.v1.generation_service_pb2 import ListJobsRequest
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.statement_pb2 import StatementFormat
from atelier.wallet.v1.transfer_pb2 import Transfer
from atelier.wallet.v1.wallet_pb2 import Wallet
from edge_bot.conversation.handler.list_page import latest_pages
from edge_bot.conversation.interaction import Interaction
from edge_bot.view.money_button import SendStatement
from edge_bot.view.wallet import statements_screen, transfers_screen, wallet_screen
from generation_client import translated

MOST_JOBS = 100
"""How many of the latest jobs without a result are asked for, to tell which have one after all."""
_ENDED = "state = JOB_STATE_CANCELLED OR state = JOB_STATE_FAILED"


async def wallet_of(interaction: Interaction) -> Wallet:
    """Return what the user has; raises GenerationError."""
    with translated():
        request = pb.GetBalanceRequest(owner=interaction.owner)
        return (await interaction.context.client.wallet.GetBalance(request)).wallet


async def show_wallet(interaction: Interaction) -> None:
    """Show the balance."""
    await interaction.show(wallet_screen(await wallet_of(interaction), interaction.language))


async def show_transfers(interaction: Interaction, *, page: int) -> None:
    """Show a page of what was added and taken."""
    catalog, language = interaction.catalog, interaction.language
    transfers = await _transfers(interaction)
    screen = transfers_screen(
        transfers,
        language,
        page=page,
        title_of=lambda model_id: catalog.title(model_id, language),
        kept=await _kept(interaction) if any(each.model_id for each in transfers) else (),
    )
    await interaction.show(screen)


async def show_statements(interaction: Interaction) -> None:
    """Offer statements as files."""
    await interaction.show(statements_screen(interaction.language))


async def send_statement(interaction: Interaction, action: SendStatement) -> None:
    """Send what was added and taken in the last days as a file."""
    if interaction.is_answered:
        return
    end = interaction.context.clock.now()
    with translated():
        request = _statement_request(interaction, action, end=end)
        answer = await interaction.context.client.wallet.GetStatement(request)
    await interaction.send_file(answer.data, name=answer.file_name)


def _statement_request(
    interaction: Interaction, action: SendStatement, *, end: datetime
) -> pb.GetStatementRequest:
    days = min(max(action.days, 1), 365)
    request = pb.GetStatementRequest(
        owner=interaction.owner,
        format=_format(action.format),
        language_code=interaction.language,
    )
    # From the beginning of the first day to the end of this one, as people count days.
    day = end.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    request.start_time.FromDatetime(day - timedelta(days=days - 1))
    request.end_time.FromDatetime(day + timedelta(days=1))
    return request


def _format(number: int) -> StatementFormat.ValueType:
    """Return a format that there is: a press may be forged, and say any number."""
    is_pdf = number == StatementFormat.STATEMENT_FORMAT_PDF
    return StatementFormat.STATEMENT_FORMAT_PDF if is_pdf else StatementFormat.STATEMENT_FORMAT_CSV


async def _transfers(interaction: Interaction) -> Sequence[Transfer]:
    request = pb.ListTransfersRequest(owner=interaction.owner)
    pages = latest_pages(interaction.context.client.wallet.ListTransfers, request)
    return [each async for page in pages for each in page.transfers]


async def _kept(interaction: Interaction) -> frozenset[str]:
    """Return the ids of the latest jobs that were cancelled or failed, and finished after all."""
    request = ListJobsRequest(owner=interaction.owner, page_size=MOST_JOBS, filter=_ENDED)
    with translated():
        jobs = (await interaction.context.client.generation.ListJobs(request)).jobs
    return frozenset(each.id for each in jobs if each.HasField("kept_result"))
