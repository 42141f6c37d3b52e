"""Checks the inputs of a caller: the model's schema, whose fields they are, what is measured."""

from collections.abc import Mapping
from typing import Any

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.model import Model
from generation_svc.domain.operator_field import operator_violations, with_strict_values
from generation_svc.lifecycle import pricing
from generation_svc.lifecycle.dependencies import Dependencies


def accepted_inputs(
    deps: Dependencies, caller: Caller, *, model: Model, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the inputs as they are stored. Raises InvalidInputs and UploadMissing."""
    theirs = tuple(operator_violations(caller, model, inputs))
    try:
        valid = deps.models.validate_inputs(model, inputs)
    except InvalidInputs as error:
        named = {each.field for each in theirs}
        others = (each for each in error.violations if each.field not in named)
        raise InvalidInputs((*theirs, *others)) from error
    if theirs:
        raise InvalidInputs(theirs)
    checked = with_strict_values(caller, model, valid)
    pricing.check_measurable(model, checked)
    return checked
