"""The start rules: what has to stand around an address before the service listens there."""

import ipaddress
import socket

import structlog

from generation_svc.settings import GenerationSettings
from runtime.address import Address
from runtime.process import StartError

_logger = structlog.get_logger(__name__)


def check_exposure(settings: GenerationSettings, *, has_callers: bool) -> None:
    """Raise StartError if strangers could call; say so where everybody on this machine may."""
    address = settings.generation_listen
    if is_loopback(address):
        if not has_callers:
            _logger.warning(
                "no callers are configured: everybody on this machine may call",
                address=str(address),
            )
        return
    if not has_callers:
        raise _refusal(address, "callers, in the file that GENERATION_CALLERS_FILE names")
    if settings.tls_files is None and settings.generation_tls is None:
        raise _refusal(
            address,
            "TLS: GENERATION_TLS_CERTIFICATE_FILE and GENERATION_TLS_KEY_FILE,"
            " or GENERATION_TLS=elsewhere where a proxy of yours encrypts",
        )


def is_loopback(address: Address) -> bool:
    """Return whether only this machine reaches an address. Raises StartError for unknown names."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StartError(
            f"{address} cannot be found: set GENERATION_LISTEN to an address of this machine."
        ) from error
    hosts = [str(place[0]).partition("%")[0] for *_, place in found]
    return all(ipaddress.ip_address(host).is_loopback for host in hosts)


def _refusal(address: Address, missing: str) -> StartError:
    return StartError(
        f"GENERATION_LISTEN={address} can be reached from other machines and needs {missing}."
        " Without them it listens on 127.0.0.1 alone."
    )
