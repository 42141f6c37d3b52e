"""What the service sends, the sandbox KIE accepts and prices alike, for generated inputs."""

import random
from decimal import Decimal

import pytest

from generation_svc.catalog.example import example
from generation_svc.catalog.load import load_catalog
from generation_svc.domain.media_input import MediaInput, given_in
from generation_svc.domain.provider_input import provider_input
from generation_svc.domain.quote import PriceUnknown, quote
from sandbox.kie.catalog import Catalog
from sandbox.kie.complaint import complaint
from sandbox.kie.entry import Json, media_in
from sandbox.kie.price import cost_of

SERVICE, KIE = load_catalog(), Catalog(None)
SECONDS = Decimal("2.3")
TRIES = 12


@pytest.mark.parametrize("model_id", [each for each in SERVICE.models if KIE.find(each)])
def test_the_sandbox_takes_what_is_sent_and_takes_for_it_what_was_quoted(model_id: str) -> None:
    model, entry = SERVICE.models[model_id], KIE.find(model_id)
    assert entry
    for seed in range(TRIES):
        made = example(model, random.Random(seed), share=(0.0, 0.3, 0.6, 1.0)[seed % 4])
        assert made is not None
        inputs = {**model.provider_defaults, **made}
        given = [(each, found) for each in model.special_inputs for found in given_in(inputs, each)]
        links = {found.steps: "https://files.example/a" for _, found in given}
        sent = provider_input(model, inputs, resolved=links)
        assert complaint(entry, sent) is None, sent
        measured: dict[str, list[Decimal]] = {}
        for each, _ in given:
            if isinstance(each, MediaInput):
                measured.setdefault(each.name, []).append(SECONDS)
        try:
            told = quote(model.offer.price, inputs, defaults=model.defaults, measured=measured)
        except PriceUnknown:
            continue
        taken = cost_of(entry.price, entry.filled(sent), seconds=_lengths(entry, sent))
        assert taken <= float(told.credits) + 1e-3, sent
        assert told.is_ceiling or taken == pytest.approx(float(told.credits), abs=1e-3), sent


def _lengths(entry: object, sent: Json) -> dict[str, float]:
    lengths: dict[str, float] = {}
    for each in media_in(entry, sent):  # type: ignore[arg-type]
        lengths[each.field] = lengths.get(each.field, 0) + float(
            SECONDS.to_integral_value("ROUND_CEILING")
        )
    return lengths
