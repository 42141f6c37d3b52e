"""Certificates in files: read, checked as a whole, and read again when the files change.

A renewal writes several files, one after the other, so a reader may find half of it. What does not
fit together is not used: the certificates of before stay until the files make sense again.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from runtime.process import StartError

_logger = structlog.get_logger(__name__)
_Signature = tuple[tuple[int, int, int] | None, ...]


class CertificateError(StartError):
    """The certificates in some files cannot be used; the text is the one line that says why."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a side of TLS shows and whom it believes, in PEM; what it does not have is None."""

    chain: bytes | None = None
    """The own certificate, followed by those between it and its authority."""
    key: bytes | None = field(default=None, repr=False)
    authorities: bytes | None = None
    """The authorities whose certificates are believed."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where certificates are kept; a chain and its key come together."""

    chain: Path | None = None
    key: Path | None = None
    authorities: Path | None = None

    def __iter__(self) -> Iterator[Path]:
        return filter(None, (self.chain, self.key, self.authorities))

    def read(self) -> Certificates:
        """Read and check all of them. Raises CertificateError."""
        before = self.signature()
        found = Certificates(*map(_bytes, (self.chain, self.key, self.authorities)))
        self._check()
        if self.signature() != before:
            raise CertificateError(f"{self}: the files changed while they were being read")
        return found

    def signature(self) -> _Signature:
        """Return what differs once a file was written or replaced."""
        return tuple(map(_signature, self))

    def _check(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            if self.chain:
                # A password makes OpenSSL ask for it on the terminal, unless it is given one.
                context.load_cert_chain(self.chain, self.key, password="")
            if self.authorities:
                context.load_verify_locations(self.authorities)
        except (OSError, ValueError) as error:
            raise CertificateError(f"{self}: cannot be used: {_problem(error)}") from None

    def __str__(self) -> str:
        return ", ".join(map(str, self))


class CertificateReader:
    """Gives the certificates in some files as they are now; any thread may ask."""

    def __init__(self, files: CertificateFiles) -> None:
        """Read them for the first time. Raises CertificateError."""
        self._files = files
        self._lock = threading.Lock()
        self._signature = files.signature()
        self._current = files.read()

    def read(self) -> Certificates:
        """Return them, the same object until they change; or, while they are wrong, the last."""
        with self._lock:
            signature = self._files.signature()
            if signature != self._signature:
                # Also where they turn out to be wrong: that is logged once, not at each handshake.
                self._signature = signature
                self._renew()
            return self._current

    def _renew(self) -> None:
        try:
            found = self._files.read()
        except CertificateError as error:
            _logger.error(
                "the new certificates cannot be used; the old ones stay in use", reason=str(error)
            )
            return
        if found != self._current:
            self._current = found
            _logger.info("the certificates were renewed", files=str(self._files))


def _problem(error: OSError | ValueError) -> str:
    reason = str(getattr(error, "reason", None) or "")
    wanted = "they must be PEM, and the key must have no password"
    return reason.replace("_", " ").lower() or wanted


def _bytes(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read: {error.strerror}") from None


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
