"""The models that users have open, in full: the list tells only what chooses them."""

from __future__ import annotations

from collections import OrderedDict

import grpc

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.generation.v1.model_pb2 import Model

MOST_OPEN = 32
"""How many models are kept in full, about 4 kB each; the one that was opened longest ago goes."""


class OpenModels:
    """Reads models in full and keeps those that were opened last, of one version of the catalog."""

    def __init__(self, generation: GenerationServiceStub, *, most: int = MOST_OPEN) -> None:
        self._generation = generation
        self._most = most
        self._version = ""
        self._kept: OrderedDict[str, Model] = OrderedDict()

    async def read(self, model_id: str, *, version: str) -> Model | None:
        """Return a model in full; None if it is gone. Raises AioRpcError while it cannot be read.

        `version` is that of the list that named it: another one empties what is kept.
        """
        if version != self._version:
            self._version = version
            self._kept = OrderedDict()
        if model_id in self._kept:
            self._kept.move_to_end(model_id)
            return self._kept[model_id]
        model = await self._asked(model_id)
        # Another user's event may have found another version meanwhile, to which this one is old.
        if model is not None and version == self._version:
            self._keep(model)
        return model

    async def _asked(self, model_id: str) -> Model | None:
        try:
            answer = await self._generation.GetModel(pb.GetModelRequest(model_id=model_id))
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            raise
        model: Model = answer.model
        return model

    def _keep(self, model: Model) -> None:
        self._kept[model.id] = model
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
