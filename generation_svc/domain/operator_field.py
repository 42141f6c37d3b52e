"""The fields of a model that are the operator's: safety, watermarks, fallbacks.

A caller without the scope for them gets the strict value, which is sent where the inputs say
nothing. Where they say something, they are refused; but for the models of the first release, whose
callers may name these fields, the strict value takes the place of theirs.
"""

from collections.abc import Iterable, Iterator

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import FieldViolation
from generation_svc.domain.model import IN_EVERY_RELEASE, Model
from generation_svc.domain.schema import JsonObject


def operator_violations(
    caller: Caller, model: Model, names: Iterable[str]
) -> Iterator[FieldViolation]:
    """Yield a violation for each field given that the caller may not set."""
    if Scope.OPERATOR_FIELDS in caller.scopes or model.id in IN_EVERY_RELEASE:
        return
    words = f"Is the operator's: only a caller with the scope {Scope.OPERATOR_FIELDS} may set it."
    for name in sorted(model.operator_fields.keys() & set(names)):
        yield FieldViolation(f"inputs.{name}", words)


def with_strict_values(caller: Caller, model: Model, inputs: JsonObject) -> JsonObject:
    """Return valid inputs in which what the caller may not set has the operator's value."""
    if Scope.OPERATOR_FIELDS in caller.scopes:
        return inputs
    strict = {name: value for name, value in model.operator_fields.items() if name in inputs}
    return {**inputs, **strict}
