"""Reads what KIE says of all its models, as documents for the catalog.

Only what would change something becomes a document. It is unproved: it was tried on a sandbox and
on descriptions written by hand, never on the real KIE.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from generation_svc.catalog.review import checked_documents
from generation_svc.domain.error import InvalidDocument
from generation_svc.provider.kie.described_model import Description, described
from generation_svc.provider.kie.renewed_model import renewed
from generation_svc.provider.kie.self_description import SelfDescription

_Json = dict[str, Any]
FindDocument = Callable[[str], Awaitable[_Json | None]]
"""Gives the document that holds for a model of ours; None if there is no such model."""


@dataclass(slots=True)
class SourceCatalog:
    """What KIE's words became."""

    documents: list[_Json] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """Models of ours that KIE lists no more."""
    moved: list[str] = field(default_factory=list)
    """The rates that moved, each with its model, old and new, per unit."""
    notes: list[str] = field(default_factory=list)
    """What could not be mapped, and what a person should look at."""


async def read_source(
    source: SelfDescription, *, names: Mapping[str, str], find: FindDocument, words: _Json
) -> SourceCatalog:
    """Read all models; `names` are our ids by KIE's names. Raises ProviderError."""
    found, listed = SourceCatalog(), set()
    for listing in await source.models():
        description = await source.describe(listing)
        listed.add(description.model)
        model_id = names.get(description.model, description.model)
        known = await find(model_id)
        _add(found, description, model_id=model_id, known=known, words=words)
    found.gone += sorted(each for name, each in names.items() if name not in listed)
    return found


def _add(
    found: SourceCatalog,
    description: Description,
    *,
    model_id: str,
    known: _Json | None,
    words: _Json,
) -> None:
    if known:
        made = renewed(known, description, words=words)
    else:
        made = described(description, words=words)
    found.notes += [f"{model_id}: {problem}" for problem in made.problems]
    if made.document is None or made.document == known:
        return
    if flaw := _flaw(made.document):
        found.notes.append(f"{model_id}: not taken over: {flaw}")
        return
    found.documents.append(made.document)
    found.moved += [f"{model_id}: {each}" for each in made.moved]


def _flaw(document: _Json) -> str | None:
    """Return what stands in the way of an import: one document must not stop all others."""
    try:
        checked_documents([document], known={})
    except InvalidDocument as error:
        return error.problem
    return None
