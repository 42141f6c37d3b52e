"""The models of the catalog as an edge reads them, and jobs made with them."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from atelier.generation.v1 import job_pb2, media_pb2, model_pb2
from edge_bot.view.catalog import Catalog

SOURCE = Path(__file__).parent.parent / "models" / "KIE_SOURCE_OF_TRUTH.json"
USER = 7
KINDS = {
    "text-to-image": model_pb2.MODEL_KIND_TEXT_TO_IMAGE,
    "image-to-image": model_pb2.MODEL_KIND_IMAGE_TO_IMAGE,
    "image-edit": model_pb2.MODEL_KIND_EDIT,
}


def catalog() -> Catalog:
    """Return the free models, made anew: a test may change them."""
    return Catalog(tuple(map(_model, _free_entries())))


def catalog_of_0_1() -> Catalog:
    """Return the catalog as a service of the release 0.1 tells it."""
    models = catalog().models
    for model in models:
        model.picture_field = "".join(each.name for each in model.media_inputs)
        model.ClearField("media_inputs")
    return Catalog(models)


def switched_off(*kinds: int, hours: float = 1) -> Catalog:
    """Return the catalog with the models of these kinds off until so many hours from now."""
    models = catalog().models
    for model in models:
        if model.kind in kinds:
            until = datetime.now(UTC) + timedelta(hours=hours)
            model.unavailable_until_time.FromDatetime(until)
    return Catalog(models)


def job(
    state: job_pb2.JobState.ValueType = job_pb2.JOB_STATE_RUNNING,
    *,
    model_id: str = "z-image",
    seconds: float = 6,
    **inputs: Any,
) -> job_pb2.Job:
    """Make a job that was accepted so many seconds before its latest revision."""
    made = job_pb2.Job(id="01990000-0000-7000-8000-000000000001", model_id=model_id, state=state)
    made.owner, made.revision = f"telegram:{USER}", 1
    made.inputs.update({"prompt": "a cat", **inputs})
    start = datetime(2026, 11, 1, tzinfo=UTC)
    made.create_time.FromDatetime(start)
    made.update_time.FromDatetime(start + timedelta(seconds=seconds))
    return made


@cache
def _free_entries() -> tuple[dict[str, Any], ...]:
    source = json.loads(SOURCE.read_text())
    return tuple(entry for entry in source["models"] if entry["is_free"])


def _model(entry: dict[str, Any]) -> model_pb2.Model:
    model = model_pb2.Model(
        id=entry["id"],
        kind=KINDS[entry["purpose"]],
        titles=entry["title"],
        descriptions=entry["description"],
        media_inputs=[_media_input(each) for each in entry.get("media_inputs", ())],
        pricing=model_pb2.Pricing(is_free=entry["is_free"]),
        options=_options(entry),
        prompt_max_length=entry["input_schema"]["properties"]["prompt"]["maxLength"],
        hints=entry["hint"],
    )
    model.usual_duration.FromSeconds(entry["duration"]["usual_seconds"])
    for language in ("en", "ru"):
        examples = [example[language] for example in entry["prompt_examples"]]
        model.prompt_examples[language].prompts.extend(examples)
    return model


def _media_input(entry: dict[str, Any]) -> model_pb2.MediaInput:
    return model_pb2.MediaInput(
        name=entry["name"], kind=media_pb2.MEDIA_KIND_IMAGE, min_count=1, max_count=1
    )


def _options(entry: dict[str, Any]) -> list[model_pb2.ModelOption]:
    options = []
    for field, told in entry["options"].items():
        if not told.get("is_offered"):
            continue
        option = model_pb2.ModelOption(field=field, labels=told["label"])
        option.default_value.string_value = entry["input_schema"]["properties"][field]["default"]
        for value, labels in told["choices"].items():
            option.choices.add(labels=labels).value.string_value = value
        options.append(option)
    return options
