"""What a caller asks CreateJob for, and what tells two requests with one id apart."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import Destination
from generation_svc.domain.port.request import RequestKey


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a caller asks for."""

    caller: Caller
    request_id: str
    model_id: str
    inputs: Mapping[str, Any]
    owner: str
    correlation_id: str
    destination: Destination | None
    agreed_credits: int | None = None
    """The price that the owner agreed to; None for any."""


def content_hash(request: CreateRequest) -> bytes:
    """Return what tells two requests with the same id apart."""
    destination = request.destination
    content = {
        "model_id": request.model_id,
        "inputs": request.inputs,
        "owner": request.owner,
        "destination": [type(destination).__name__, asdict(destination)] if destination else None,
    }
    # Sorted, so that two spellings of the same inputs are the same request.
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()


def key_of(request: CreateRequest) -> RequestKey | None:
    """Return what a repetition of a request is known by; None for one without an id."""
    if not request.request_id:
        return None
    return RequestKey(
        caller=request.caller.name,
        request_id=request.request_id,
        content_hash=content_hash(request),
    )
