"""The settings of every process that calls the service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from generation_client.channel import GenerationAddress
from generation_client.transport import Transport
from runtime.settings import HeaderSecret, ProcessSettings


class ClientSettings(ProcessSettings):
    """Where the service is, who the caller is, and how the way between them is protected."""

    generation_address: GenerationAddress = Field("127.0.0.1:50051", examples=["127.0.0.1:50051"])
    """Where the generation service listens: one name, or several IP addresses with commas."""

    generation_token: HeaderSecret | None = None
    """The token under which the generation service knows this process."""

    generation_tls: Literal["on", "elsewhere"] | None = None
    """Who encrypts: on is this process, elsewhere a proxy or a mesh on the way to the service."""

    generation_tls_ca_file: Path | None = None
    """The file with the authorities that vouch for the service; when empty those of gRPC."""

    generation_tls_client_certificate_file: Path | None = None
    """The file with the certificate that is shown to the service, in PEM."""

    generation_tls_client_key_file: Path | None = None
    """The file with the key of that certificate, in PEM and without a password."""

    generation_tls_server_name: str = Field("", examples=["generation.internal"])
    """The name in the service's certificate, where GENERATION_ADDRESS is another."""

    @property
    def transport(self) -> Transport:
        """How calls travel to the service."""
        return Transport(
            tls=self.generation_tls,
            ca_file=self.generation_tls_ca_file,
            certificate_file=self.generation_tls_client_certificate_file,
            key_file=self.generation_tls_client_key_file,
            server_name=self.generation_tls_server_name,
        )

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        self.transport.check(self.generation_address, has_token=self.generation_token is not None)
        return self
