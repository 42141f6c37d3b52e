"""What KIE says of its models: the list, and the schema, price and success rate of each.

The four together take one request a second from an account (kie-api.md §9). The keys of the list
and of a bucket are documented; those of a price, and that rates are percentages, are guesses.
"""

from collections.abc import Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.kie import answer
from sandbox.kie.account import account_in
from sandbox.kie.answer import Body
from sandbox.kie.entry import Entry, Price, Rate
from sandbox.kie.openapi import document_of
from sandbox.kie.refusal import RefusedError
from sandbox.kie.state import Kie, kie_of
from sandbox.kie.task import now_ms

UNKNOWN = answer.refusal(404, "Model not found")
CREDIT_USD = 0.005
BUCKET_MS = 600_000
BUCKETS = 144
NORMAL_PERCENT = 90.0

Describe = Callable[[Kie, Entry], Any]


async def list_models(request: Request) -> Response:
    """Answer every model with its title, provider, purpose and a line about its price."""
    kie = _admitted(request)
    entries = (each for each in kie.catalog.entries() if _is_published(kie, each))
    return answer.granted([_listed(kie, each) for each in entries])


def _is_published(kie: Kie, entry: Entry) -> bool:
    """Return whether the list has a model: one that is paused keeps its page."""
    return kie.catalog.change(entry.model).off != "unpublished"


def _one(describe: Describe) -> Callable[[Request], Any]:
    async def handle(request: Request) -> Response:
        kie = _admitted(request)
        # KIE knows no id whose slash is written as %2F.
        is_encoded = b"%2f" in request.scope.get("raw_path", b"").lower()
        entry = None if is_encoded else kie.catalog.find(request.path_params["model"])
        if entry is None:
            raise RefusedError(UNKNOWN)
        return answer.granted(describe(kie, entry))

    return handle


def _admitted(request: Request) -> Kie:
    kie = kie_of(request)
    if not kie.admits_description(account_in(request.scope)):
        raise RefusedError(answer.TOO_FREQUENT)
    return kie


def _listed(kie: Kie, entry: Entry) -> Body:
    return {
        "model": entry.model,
        "slug": entry.model.replace("/", "-"),
        "title": entry.title or entry.model,
        "provider": entry.provider,
        "taskType": [entry.purpose],
        "description": entry.description,
        "pricingDesc": "; ".join(_lines(kie.catalog.price(entry))),
    }


def _schema(kie: Kie, entry: Entry) -> Body:
    server = kie.settings.base_url
    is_synced = kie.catalog.change(entry.model).is_synced
    shown = document_of(entry, server=server) if is_synced else None
    return {"model": entry.model, "openapi": shown}


def _price(kie: Kie, entry: Entry) -> Body:
    price = kie.catalog.price(entry)
    rows = [_row(rate, part.unit) for part in price.parts for rate in part.rates]
    return {"model": entry.model, "prices": rows, "note": price.note or None}


def _row(rate: Rate, unit: str) -> Body:
    return {
        "when": rate.when,
        "creditPrice": rate.credits,
        "creditUnit": f"per {unit}",
        "usdPrice": f"{float(rate.credits) * CREDIT_USD:.5g}",
    }


def _lines(price: Price) -> Iterator[str]:
    for part in price.parts:
        for rate in part.rates:
            when = ", ".join(f"{name} {value}" for name, value in rate.when.items())
            yield f"{rate.credits} credits per {part.unit}{f' ({when})' if when else ''}"


def _success_rate(kie: Kie, entry: Entry) -> Body:
    """Return a day of buckets: what was set for the newest, else what the tasks came to."""
    end = now_ms() // BUCKET_MS * BUCKET_MS + BUCKET_MS
    starts = [end - BUCKET_MS * back for back in range(BUCKETS, 0, -1)]
    rates: dict[int, float | None] = dict(_counted(kie, entry.model))
    told = kie.catalog.change(entry.model).success_rates
    rates |= dict(zip(reversed(starts), reversed(told), strict=False))
    return {"model": entry.model, "buckets": [_bucket(each, rates.get(each)) for each in starts]}


def _counted(kie: Kie, model: str) -> Iterator[tuple[int, float]]:
    """Yield the start of each bucket in which tasks ended, and how many of them succeeded."""
    ended: dict[int, list[bool]] = {}
    for task in kie.tasks.values():
        if task.model == model and task.complete_ms is not None:
            start = task.complete_ms // BUCKET_MS * BUCKET_MS
            ended.setdefault(start, []).append(task.failure is None)
    for start, each in ended.items():
        yield start, 100 * sum(each) / len(each)


def _bucket(start: int, rate: float | None) -> Body:
    return {
        "start": start,
        "end": start + BUCKET_MS,
        "successRate": None if rate is None else round(rate, 2),
        "errorRate": None if rate is None else round(100 - rate, 2),
        "isNormal": None if rate is None else rate >= NORMAL_PERCENT,
    }


ROUTES = [
    Route("/api/v1/models", list_models),
    Route("/api/v1/models/{model:path}/schema", _one(_schema)),
    Route("/api/v1/models/{model:path}/price", _one(_price)),
    Route("/api/v1/models/{model:path}/success-rate", _one(_success_rate)),
]
