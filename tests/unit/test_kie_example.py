"""What leaves for KIE, compared with the requests that KIE's pages and public clients show."""

import json
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.media_input import given_in
from generation_svc.domain.model import Model
from generation_svc.domain.port.provider import ProviderRequest
from generation_svc.domain.provider_input import provider_input
from generation_svc.domain.schema import JsonObject
from generation_svc.provider.kie.client import KieClient
from tests.kie_example import (
    ABSENT,
    MADE,
    REFUSED,
    Difference,
    KieExample,
    changed,
    job_of,
    kie_examples,
)

EXAMPLES = kie_examples()
MODELS = {model.offer.model_id: model for model in load_catalog(has_unpaid=True).models.values()}
CREATED = {"code": 200, "msg": "success", "data": {"taskId": "t1"}}
LEAST_MODELS, LEAST_EXAMPLES = 189, 235

every_example = pytest.mark.parametrize("name", EXAMPLES)


def every_difference(which: str) -> pytest.MarkDecorator:
    """Parametrise over the differences of a kind, each with its example."""
    return pytest.mark.parametrize(
        ("example", "difference"),
        [
            pytest.param(example, each, id=f"{name} {each.field}")
            for name, example in EXAMPLES.items()
            for each in getattr(example, which)
        ],
    )


async def body_of(model: Model, inputs: JsonObject, *, texts: dict[str, str]) -> Any:
    """Return the body of the createTask that a job becomes."""
    bodies: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        return httpx2.Response(200, json=CREATED)

    valid = validate_inputs(model, inputs)
    places = [given for each in model.special_inputs for given in given_in(valid, each)]
    resolved = {given.steps: texts[given.text] for given in places}
    sent = provider_input(model, valid, resolved=resolved)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        kie = KieClient(http, keys={"main": "secret"})
        request = ProviderRequest(model.offer.model_id, sent)
        await kie.submit(uuid4(), request, callback_url=None, account="main")
    (body,) = bodies
    return json.loads(body)


@every_example
async def test_the_request_that_leaves_is_the_example(name: str) -> None:
    example = EXAMPLES[name]
    model = MODELS[example.model]
    job = job_of(model, example.taken)

    body = await body_of(model, job.inputs, texts=dict(job.texts))

    wanted = {"model": example.model, "input": example.sent}
    assert body == wanted
    assert spelled(body) == spelled(wanted)


@every_difference("refused")
def test_the_contract_refuses_what_is_not_sent_as_the_example_has_it(
    example: KieExample, difference: Difference
) -> None:
    model = MODELS[example.model]
    shown = example.input.get(difference.field, ABSENT)
    as_shown = Difference(difference.field, shown, difference.reason)

    with pytest.raises(InvalidInputs) as refused:
        validate_inputs(model, job_of(model, changed(example.taken, as_shown)).inputs)

    assert own_name(model, difference.field) in named(refused.value)


@every_difference("made")
def test_what_the_product_changes_by_itself_is_in_the_document(
    example: KieExample, difference: Difference
) -> None:
    model, name = MODELS[example.model], difference.field
    expected = {
        "operator": model.operator_fields.get(name, ABSENT),
        "default": model.provider_defaults.get(name, ABSENT),
        "empty": ABSENT,
    }[difference.reason]

    assert difference.sent == expected
    assert str(example.input.get(name, "")).strip() == "", "the example says something else"


@every_difference("differs")
def test_every_difference_differs_and_has_a_reason(
    example: KieExample, difference: Difference
) -> None:
    assert difference.reason in {**REFUSED, **MADE}
    assert spelled(example.input.get(difference.field, ABSENT)) != spelled(difference.sent)


def test_the_examples_are_of_many_models_and_each_names_its_source() -> None:
    assert len({example.model for example in EXAMPLES.values()}) >= LEAST_MODELS
    assert len(EXAMPLES) >= LEAST_EXAMPLES
    for name, example in EXAMPLES.items():
        assert example.source["kind"] in {"page", "client"}, name
        assert example.source["repository"], name
        assert example.source["path"], name


def test_every_example_is_of_another_request_or_another_source() -> None:
    told = [spelled([each.model, dict(each.source), each.input]) for each in EXAMPLES.values()]

    assert len(set(told)) == len(told)


def spelled(value: Any) -> str:
    """Return a value as JSON, in which a yes is not a one and a text not a number."""
    return json.dumps(value, sort_keys=True, default=lambda _: "absent")


def own_name(model: Model, field: str) -> str:
    """Return what the contract calls a field of KIE's."""
    return next((own for own, name in model.offer.names.items() if name == field), field)


def named(error: InvalidInputs) -> set[str]:
    """Return the fields that a refusal names."""
    paths = (violation.field.removeprefix("inputs.") for violation in error.violations)
    return {path.partition("[")[0].partition(".")[0] for path in paths}
