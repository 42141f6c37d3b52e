"""How calls travel: encrypted by us, by somebody on the way, or in the clear within a machine."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from generation_client.channel import target_hosts
from runtime.certificate import CertificateFiles

_LOCAL_SCHEMES = ("unix:", "unix-abstract:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """What protects the way to the service; by default nothing does."""

    tls: Literal["on", "elsewhere"] | None = None
    """Who encrypts; a file below says "on" by itself."""
    ca_file: Path | None = None
    """The authorities that vouch for the service; None stands for gRPC's own."""
    certificate_file: Path | None = None
    """What is shown to a service that asks for a certificate, and `key_file` its key."""
    key_file: Path | None = None
    server_name: str = ""
    """The name in the service's certificate, where the address is another."""

    @property
    def is_tls(self) -> bool:
        """Whether the channel itself encrypts."""
        return self.tls == "on" or any(self.files)

    @property
    def files(self) -> CertificateFiles:
        """Where the certificates are."""
        return CertificateFiles(
            chain=self.certificate_file, key=self.key_file, authorities=self.ca_file
        )

    def check(self, address: str, *, has_token: bool) -> None:
        """Raise ValueError where calls could not travel, or a token would be open to read."""
        self._check_names(address)
        if has_token and not self.is_tls and self.tls is None and not is_local(address):
            raise ValueError(
                "GENERATION_TOKEN would travel in the clear: set GENERATION_TLS_CA_FILE or"
                " GENERATION_TLS=on, or GENERATION_TLS=elsewhere where a proxy of yours encrypts"
            )

    def _check_names(self, address: str) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            names = "GENERATION_TLS_CLIENT_CERTIFICATE_FILE and GENERATION_TLS_CLIENT_KEY_FILE"
            raise ValueError(f"{names} must be set together")
        if self.tls == "elsewhere" and any(self.files):
            raise ValueError("GENERATION_TLS=elsewhere and certificates contradict each other")
        if self.is_tls and "," in address and not self.server_name:
            raise ValueError("TLS to several addresses needs GENERATION_TLS_SERVER_NAME")


def is_local(address: str) -> bool:
    """Return whether an address, as it is written, cannot lead out of this machine."""
    return address.startswith(_LOCAL_SCHEMES) or all(map(_is_loopback, target_hosts(address)))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
