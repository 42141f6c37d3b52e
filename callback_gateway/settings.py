"""The settings of the gateway."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from generation_client import ClientSettings
from generation_client.limit import MAX_CALLBACK_BYTES
from runtime.address import Address
from runtime.settings import Names


def _networks(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        ip_network(name)
    return names


Networks = Annotated[Names, AfterValidator(_networks)]
"""A comma-separated list of networks, such as `10.0.0.0/8`."""

KIE_MAX_WAIT_S = 15
"""How long KIE waits for an answer before it counts the callback as failed (kie-api.md §3)."""


class GatewaySettings(ClientSettings):
    """The settings of the gateway: its address, its service and its limits."""

    gateway_listen: Address = Field(Address("127.0.0.1", 8080), examples=["127.0.0.1:8080"])
    """Where the gateway takes callbacks."""

    port: int | None = Field(None, ge=0, le=65535, examples=[8080])
    """The port that a platform gives; where set, it wins over GATEWAY_LISTEN, on all interfaces."""

    gateway_body_limit_bytes: int = Field(MAX_CALLBACK_BYTES, gt=0, le=MAX_CALLBACK_BYTES)
    """The longest body that is handed on."""

    gateway_drain_limit_bytes: int = Field(32 << 20, gt=0)
    """How much of a longer body is read before the answer is given all the same."""

    gateway_held_limit_bytes: int = Field(64 << 20, gt=0)
    """How many bytes of bodies wait for the service at once; further ones are let go."""

    gateway_body_timeout_s: float = Field(3, gt=0)
    """How long a body may take to come in."""

    gateway_head_timeout_s: float = Field(5, gt=0, le=3600)
    """How long a request line and its headers may take to come in."""

    gateway_read_timeout_s: float = Field(20, gt=0, le=3600)
    """How long a client may take to read what is ready for it."""

    gateway_connection_limit: int = Field(500, ge=1)
    """How many connections are open at once; then the one that is silent longest is closed."""

    gateway_address_connection_limit: int = Field(100, ge=0)
    """How many of them come from one address; 0 is any number, for a proxy elsewhere."""

    gateway_proxies: Networks = (
        "127.0.0.0/8",
        "::1/128",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
    )
    """The networks of proxies in front of the gateway, whose connections are everybody's."""

    gateway_download_limit: int = Field(64, ge=1)
    """How many media are sent at once."""

    gateway_upload_limit: int = Field(16, ge=1)
    """How many files of upload links come in at once."""

    gateway_handover_timeout_s: float = Field(10, gt=0)
    """How long handing one callback on may take, with all its tries."""

    @property
    def listen(self) -> Address:
        """Where the gateway really listens."""
        return self.gateway_listen if self.port is None else Address("0.0.0.0", self.port)

    @model_validator(mode="after")
    def _answers_in_time(self) -> Self:
        if self.gateway_body_timeout_s + self.gateway_handover_timeout_s >= KIE_MAX_WAIT_S:
            names = "GATEWAY_BODY_TIMEOUT_S and GATEWAY_HANDOVER_TIMEOUT_S"
            raise ValueError(f"{names} together must stay below KIE's {KIE_MAX_WAIT_S} s")
        return self
