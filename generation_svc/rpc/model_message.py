"""Writes models as messages, each of them once.

A list of all models in full takes 85 ms to write and 5 to read from its bytes, in which no other
call would be answered.
"""

from atelier.generation.v1 import model_pb2
from generation_svc.domain.model import Model
from generation_svc.rpc.convert_model import model_to_proto


class ModelMessages:
    """What was written of each model of the catalog, in each view that was asked for."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, bool, bool], tuple[Model, bytes]] = {}

    def of(self, model: Model, *, is_full: bool, has_operator_fields: bool) -> model_pb2.Model:
        """Return a message of its own for a model."""
        key = (model.id, is_full, has_operator_fields)
        known, data = self._written.get(key, (None, b""))
        if known is not model:  # another catalog has another one of this id
            message = model_to_proto(
                model, is_full=is_full, has_operator_fields=has_operator_fields
            )
            data = message.SerializeToString()
            self._written[key] = (model, data)
        return model_pb2.Model.FromString(data)
