"""Certificates for tests: authorities that issue them into files, good ones and bad ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

SERVER_NAME = "generation.internal"
"""A name that no address has: only a certificate says it."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into a folder, and has its own one there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.file = folder / "authority.pem"
        self.renew()

    def renew(self) -> None:
        """Become another authority, in the same file; what was issued before is worth nothing."""
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(self.file)

    def pair(self, name: str) -> Pair:
        """Return where the certificate of a name is."""
        return Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")

    def issue(self, name: str, *identities: str, is_expired: bool = False) -> Pair:
        """Write a certificate for some names, or for its own, in the place of its older one."""
        until = datetime.now(UTC) - timedelta(hours=1) if is_expired else None
        issued, pair = (
            self._ca.issue_cert(*(identities or (name,)), not_after=until),
            self.pair(name),
        )
        issued.private_key_pem.write_to_path(pair.key)
        pair.certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        return pair

    def issue_server(self, *, is_expired: bool = False) -> Pair:
        """Write the certificate of a service on this machine."""
        return self.issue("server", SERVER_NAME, "127.0.0.1", is_expired=is_expired)
