"""Earlier jobs for models that go on from one: a song for its extension, stems for their MIDI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from generation_svc.domain.media_input import ReferenceInput, ReferencePart
from generation_svc.domain.model import Model

_SHARED = (ReferencePart.TASK, ReferencePart.AUDIO)
"""What of a job may have to be of the same job as another reference."""


@dataclass
class EarlierJobs:
    """One job of each model that others go on from, made when it is first asked for."""

    make: Callable[[str], Awaitable[str]]
    """Makes a job of a model, waits until it succeeded and returns its id."""
    _made: dict[str, asyncio.Future[str]] = field(default_factory=dict)

    async def give(self, model: Model, one: ReferenceInput) -> str:
        """Return the input text that refers to an earlier job."""
        model_id = _common(model, one)
        if model_id not in self._made:
            self._made[model_id] = asyncio.ensure_future(self.make(model_id))
        try:
            job_id = await asyncio.shield(self._made[model_id])
        except AssertionError as problem:
            raise AssertionError(f"needs a job of {model_id}, which failed: {problem}") from problem
        return f"job:{job_id}" + ("" if one.part is ReferencePart.TASK else "/1")


def _common(model: Model, one: ReferenceInput) -> str:
    """Return the model whose job all references of the model can share, as far as possible."""
    if one.part not in _SHARED:
        return one.model_ids[0]
    sharing = [each for each in model.reference_inputs if each.part in _SHARED]
    return next(
        model_id
        for model_id in one.model_ids
        if all(model_id in each.model_ids for each in sharing)
    )
