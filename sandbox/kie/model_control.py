"""The stand-in's own API for models: add one, change its price, switch it off, let it do badly."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.kie.entry import Entry, Price
from sandbox.kie.state import Kie, kie_of

Percent = Annotated[float, Field(ge=0, le=100)]


class ModelChange(BaseModel):
    """What of a model is to change."""

    model_config = ConfigDict(extra="forbid")

    price: Price | None = None
    off: Literal["", "paused", "unpublished", "disabled"] | None = None
    """How it is switched off: `disabled` answers 505; empty switches it on."""
    success_rates: list[Percent | None] | None = None
    """The percentages of the newest buckets, the newest last."""
    is_synced: bool | None = None
    """Whether `/schema` has a document of it."""


async def show_models(request: Request) -> Response:
    """Show every model and what is changed of it."""
    kie = kie_of(request)
    return JSONResponse([_shown(kie, model) for model in kie.catalog.ids()])


async def add_model(request: Request) -> Response:
    """Have a model that nobody has heard of: the body is an `Entry`."""
    kie = kie_of(request)
    try:
        entry = Entry.model_validate_json(await request.body())
    except ValidationError as error:
        return JSONResponse({"error": str(error)}, 422)
    kie.catalog.add(entry)
    return JSONResponse(_shown(kie, entry.model))


async def change_model(request: Request) -> Response:
    """Change what the JSON object names."""
    kie, model = kie_of(request), request.path_params["model"]
    try:
        change = ModelChange.model_validate_json(await request.body())
    except ValidationError as error:
        return JSONResponse({"error": str(error)}, 422)
    if kie.catalog.find(model) is None:
        return JSONResponse({"error": f"no such model: {model}"}, 404)
    for name in change.model_dump(exclude_none=True):
        setattr(kie.catalog.change(model), name, getattr(change, name))
    return JSONResponse(_shown(kie, model))


async def remove_model(request: Request) -> Response:
    """Have an added model no more; one with a document is as documented again."""
    kie_of(request).catalog.remove(request.path_params["model"])
    return JSONResponse({})


def _shown(kie: Kie, model: str) -> dict[str, Any]:
    change, entry = kie.catalog.change(model), kie.catalog.find(model)
    return {
        "model": model,
        "off": change.off,
        "price": kie.catalog.price(entry).model_dump() if entry else None,
        "success_rates": change.success_rates,
        "is_synced": change.is_synced,
    }


ROUTES = [
    Route("/sandbox/models", show_models, methods=["GET"]),
    Route("/sandbox/models", add_model, methods=["POST"]),
    Route("/sandbox/models/{model:path}", change_model, methods=["PATCH"]),
    Route("/sandbox/models/{model:path}", remove_model, methods=["DELETE"]),
]
