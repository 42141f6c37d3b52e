"""Says why a post got no answer, in words for the receiver's owner.

A name that is not known and one that leads into a private network read the same: who may name a
host is not told what stands in ours.
"""

import ssl
from collections.abc import Iterator

import httpx2

NO_ADDRESS = "the host has no public address"


def in_words(error: BaseException) -> str:
    """Say what went wrong; NotOnInternet, httpx's errors and OSError are known."""
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error)):
        return "the certificate is not valid for this host"
    if any(isinstance(each, ssl.SSLError) for each in _causes(error)):
        return "the TLS handshake failed"
    match error:
        case TimeoutError() | httpx2.TimeoutException():
            return "no answer in time"
        case httpx2.ConnectError():
            return "no connection could be made"
        case httpx2.RemoteProtocolError():
            return "the answer was not valid HTTP"
        case httpx2.HTTPError():
            return "the connection was lost"
    return NO_ADDRESS


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
