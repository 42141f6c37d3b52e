"""The settings of the gateway."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from generation_svc.client import GenerationAddress
from runtime.address import Address
from runtime.settings import ProcessSettings

MAX_BODY_BYTES = 1 << 20
"""The longest body that the contract takes (ReportCallbackRequest.body)."""

KIE_PATIENCE_S = 15
"""How long KIE waits for an answer before it counts the callback as failed (kie-api.md §3)."""


class GatewaySettings(ProcessSettings):
    """What the gateway is told: where it listens, whom it calls, and its limits."""

    gateway_listen: Address = Field(Address("127.0.0.1", 8080), examples=["127.0.0.1:8080"])
    """Where the gateway takes callbacks."""

    port: int | None = Field(None, ge=0, le=65535, examples=[8080])
    """The port that a platform gives; where set, it wins over GATEWAY_LISTEN, on all interfaces."""

    generation_address: GenerationAddress = Field("127.0.0.1:50051", examples=["127.0.0.1:50051"])
    """Where the generation service listens: one name, or several IP addresses with commas."""

    generation_token: SecretStr | None = None
    """The token under which the generation service knows the gateway."""

    gateway_body_limit_bytes: int = Field(MAX_BODY_BYTES, gt=0, le=MAX_BODY_BYTES)
    """The longest body that is handed on."""

    gateway_drain_limit_bytes: int = Field(32 << 20, gt=0)
    """How much of a longer body is read before the answer is given all the same."""

    gateway_held_limit_bytes: int = Field(64 << 20, gt=0)
    """How many bytes of bodies wait for the service at once; further ones are let go."""

    gateway_body_timeout_s: float = Field(3, gt=0)
    """How long a body may take to come in."""

    gateway_handover_timeout_s: float = Field(10, gt=0)
    """How long handing one callback on may take, with all its tries."""

    @property
    def listen(self) -> Address:
        """Where the gateway really listens."""
        return self.gateway_listen if self.port is None else Address("0.0.0.0", self.port)

    @model_validator(mode="after")
    def _answers_in_time(self) -> Self:
        if self.gateway_body_timeout_s + self.gateway_handover_timeout_s >= KIE_PATIENCE_S:
            names = "GATEWAY_BODY_TIMEOUT_S and GATEWAY_HANDOVER_TIMEOUT_S"
            raise ValueError(f"{names} together must stay below KIE's {KIE_PATIENCE_S} s")
        return self
