"""Import models into a running service: `python -m generation_svc.catalog import FILE|--from-kie`.

It shows what would change, and changes it with `--apply`, or if somebody at a terminal says so. The
service is found by GENERATION_ADDRESS and called with GENERATION_TOKEN, whose scope is `catalog`.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from atelier.generation.v1 import catalog_service_pb2 as pb
from generation_client import ClientSettings, GenerationClient, GenerationError, connect, translated
from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.layer import parsed_documents
from generation_svc.catalog.load import MODELS_FOLDER, load_document, parsed, read
from generation_svc.domain.error import ProviderError
from generation_svc.provider.kie.client import open_kie
from generation_svc.provider.kie.self_description import SelfDescription
from generation_svc.server.catalog_source import SourceCatalog, read_source
from generation_svc.settings import GenerationSettings

_KINDS = {
    pb.MODEL_CHANGE_KIND_NEW: "new",
    pb.MODEL_CHANGE_KIND_CHANGED: "changed",
    pb.MODEL_CHANGE_KIND_PRICE_MOVED: "price moved",
    pb.MODEL_CHANGE_KIND_GONE: "gone",
    pb.MODEL_CHANGE_KIND_SWITCHED: "switched",
}
FROM_KIE = (
    "what KIE says of its own models: new, changed and gone ones, and each rate that moved; what"
    " cannot be mapped is named. Unproved: it was never tried on the real KIE"
)
UNPROVED = "--from-kie is unproved: it was never tried on the real KIE. Read the review with care."


def main(arguments: Sequence[str]) -> None:
    """Read the command line and import; end with one sentence if that fails."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_import(options))
    except (CatalogError, GenerationError, ProviderError, OSError, ValueError) as error:
        sys.exit(f"Nothing was changed: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="generation_svc.catalog import",
        description="Review documents of models and import them into a running service.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", type=Path, help="a document, a list, or a catalog file")
    source.add_argument("--from-kie", action="store_true", help=FROM_KIE)
    parser.add_argument("--apply", action="store_true", help="import what was reviewed")
    return parser


async def _import(options: argparse.Namespace) -> None:
    settings = ClientSettings.load()
    async with connect(
        settings.generation_address,
        token=settings.generation_token,
        transport=settings.transport,
    ) as client:
        found = await _found(client, options)
        for line in _notes(found):
            _say(line)
        await review_and_apply(client, found.documents, may_apply=partial(_may_apply, options))


def _documents_in(file: Path) -> Sequence[Any]:
    """Read a document or a list of them. Raises CatalogError and OSError."""
    try:
        return parsed_documents(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeError) as error:
        raise CatalogError(file, f"is not JSON: {error}") from error


async def _found(client: GenerationClient, options: argparse.Namespace) -> SourceCatalog:
    if not options.from_kie:
        return SourceCatalog([*_documents_in(options.file)])
    _say(UNPROVED)
    settings = GenerationSettings.load()
    async with open_kie(settings.kie_accounts, api_url=settings.kie_api_url) as kie:
        get = partial(kie.describe, account=kie.accounts[0])
        return await read_source(
            SelfDescription(get),
            names=known_names(),
            find=partial(find_document, client),
            words=parsed(read(MODELS_FOLDER / "words.json"), path=MODELS_FOLDER / "words.json"),
        )


def known_names() -> dict[str, str]:
    """Return the ids of the shipped models by their names at KIE, but for the withdrawn."""
    entries = load_document()["models"]
    return {each["offers"][0]["model"]: each["id"] for each in entries if "withdrawn" not in each}


async def find_document(client: GenerationClient, model_id: str) -> dict[str, Any] | None:
    """Return the document that holds for a model; None if there is no such model."""
    try:
        with translated():
            request = pb.GetModelDocumentRequest(model_id=model_id)
            answer = await client.catalog.GetModelDocument(request)
    except GenerationError as error:
        if error.reason == "MODEL_NOT_FOUND":
            return None
        raise
    found: dict[str, Any] = json.loads(answer.document_json)
    return found


async def review_and_apply(
    client: GenerationClient, documents: Sequence[Any], *, may_apply: Any
) -> bool:
    """Show what documents would change, and import them if that is wanted; return whether."""
    texts = [json.dumps(each, ensure_ascii=False) for each in documents]
    with translated():
        review = await client.catalog.ImportCatalog(
            pb.ImportCatalogRequest(document_json=texts, validate_only=True)
        )
    for line in review_lines(review):
        _say(line)
    if not review.changes or not may_apply():
        return False
    with translated():
        made = await client.catalog.ImportCatalog(
            pb.ImportCatalogRequest(
                document_json=texts, expected_catalog_version=review.catalog_version
            )
        )
    _say(f"Imported; the catalog is now {made.catalog_version}.")
    return True


def review_lines(review: pb.ImportCatalogResponse) -> Iterator[str]:
    """Yield a review as lines that a person reads."""
    if not review.changes:
        yield "Nothing would change."
    for change in review.changes:
        yield f"{_KINDS.get(change.kind, 'changed'):12} {change.model_id}"
        for each in change.members:
            yield f"    {each.path}: {each.before_json or '-'} -> {each.after_json or '-'}"


def _notes(found: SourceCatalog) -> Iterator[str]:
    for note in found.notes:
        yield f"look at      {note}"
    for moved in found.moved:
        yield f"price        {moved}"
    for model_id in found.gone:
        yield f"gone         {model_id}: KIE lists it no more; it stays until you switch it off"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _may_apply(options: argparse.Namespace) -> bool:
    if options.apply:
        return True
    if not sys.stdin.isatty():
        _say("Nothing was changed: --apply imports what was reviewed.")
        return False
    return input("Import this? [y/N] ").strip().lower() == "y"


if __name__ == "__main__":
    main(sys.argv[1:])
