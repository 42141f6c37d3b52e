"""The fields of a model that are the operator's: safety, watermarks, fallbacks.

A caller without the scope for them gets the strict value, which is sent where the inputs say
nothing.
"""

from collections.abc import Iterable, Iterator

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import FieldViolation
from generation_svc.domain.model import Model


def operator_violations(
    caller: Caller, model: Model, names: Iterable[str]
) -> Iterator[FieldViolation]:
    """Yield a violation for each field given that the caller may not set."""
    if Scope.OPERATOR_FIELDS in caller.scopes:
        return
    words = f"Is the operator's: only a caller with the scope {Scope.OPERATOR_FIELDS} may set it."
    for name in sorted(model.operator_fields.keys() & set(names)):
        yield FieldViolation(f"inputs.{name}", words)
