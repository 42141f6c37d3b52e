"""Shows a draft: with its price where it is ready, else with what must be mended or agreed to."""

from __future__ import annotations

import structlog

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.model_pb2 import Model
from edge_bot.conversation.draft import Stage, inputs_of, stage_of
from edge_bot.conversation.draft_screen import draft_screen
from edge_bot.conversation.form import asking
from edge_bot.conversation.form_screen import consent_screen
from edge_bot.conversation.form_start import fills_form
from edge_bot.conversation.handler.price import priced
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft
from edge_bot.service_error import is_passing
from edge_bot.view import notice
from edge_bot.view.button import RecordConsent
from edge_bot.view.input_form import form_of
from edge_bot.view.layout import Screen
from edge_bot.view.media_input import place_of
from edge_bot.view.quote_text import CONSENT_WORDING
from generation_client import GenerationError, translated

log = structlog.get_logger(__name__)


async def quoted_screen(interaction: Interaction, draft: Draft, *, why: str = "") -> Screen:
    """Return the screen of a draft, under a notice; the service tells the price of a form.

    Where the service refuses an answer, the draft is taken back to its question.
    """
    model = interaction.catalog.find(draft.model_id)
    if model is None and draft.model_id:
        why = why or notice.model_gone(interaction.language)
    is_ready = stage_of(draft, interaction.catalog) is Stage.CONFIRM
    if model is None or not fills_form(draft, model) or not is_ready:
        return _plain_screen(interaction, draft, why=why)
    try:
        quote = await _quote(interaction, draft, model=model)
    except GenerationError as error:
        if is_passing(error) and error.reason != "MODEL_UNAVAILABLE":
            raise
        log.info("a draft has no price", reason=error.reason, model_id=model.id)
        return await _refused_screen(interaction, draft, error=error, model=model)
    language = interaction.language
    if quote.missing_consent:
        return consent_screen(draft, language, model=model, kind=quote.missing_consent)
    screen = draft_screen(draft, language, catalog=interaction.catalog, notice=why, quote=quote)
    return await priced(interaction, screen, quote=quote)


async def agree(interaction: Interaction, draft: Draft, action: RecordConsent) -> None:
    """Record that the user agrees to what a model asks, and go on with the draft."""
    request = pb.RecordConsentRequest(owner=interaction.owner, wording_version=CONSENT_WORDING)
    request.kind = action.kind  # type: ignore[assignment]
    with translated():
        await interaction.context.client.generation.RecordConsent(request)
    await interaction.save(draft)
    await interaction.show(await quoted_screen(interaction, draft))


def asking_again(draft: Draft, error: GenerationError, *, model: Model) -> Draft:
    """Return the draft at the first answer that was refused."""
    form = form_of(model)
    for violation in error.violations:
        asked = asking(draft, place_of(violation.field), form=form)
        if asked.at:
            return asked
    return draft


async def _quote(interaction: Interaction, draft: Draft, *, model: Model) -> pb.QuoteJobResponse:
    request = pb.QuoteJobRequest(
        model_id=model.id, owner=interaction.owner, language_code=interaction.language
    )
    request.inputs.update(inputs_of(draft, model))
    with translated():
        quote: pb.QuoteJobResponse = await interaction.context.client.generation.QuoteJob(request)
    return quote


async def _refused_screen(
    interaction: Interaction, draft: Draft, *, error: GenerationError, model: Model
) -> Screen:
    why = notice.refusal(error, interaction.language, model=model)
    asked = asking_again(draft, error, model=model)
    if asked != draft:
        await interaction.save(asked)
    return _plain_screen(interaction, asked, why=why)


def _plain_screen(interaction: Interaction, draft: Draft, *, why: str) -> Screen:
    return draft_screen(draft, interaction.language, catalog=interaction.catalog, notice=why)
