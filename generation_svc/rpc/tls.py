"""TLS of the server: its certificate, and the authorities of client certificates."""

from collections.abc import Callable

import grpc

from runtime.certificate import CertificateReader, Certificates


def server_credentials(reader: CertificateReader) -> grpc.ServerCredentials:
    """Return credentials that follow the reader: each handshake uses what the files say by then.

    With authorities, a client must show a certificate of one of them.
    """
    # Whether clients must show a certificate is fixed for the life of the port; gRPC asks for new
    # certificates only.
    shown = reader.read()
    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown),
        _fetcher(reader, shown=shown),  # type: ignore[arg-type] # the stubs leave out None
        require_client_authentication=shown.authorities is not None,
    )


def _fetcher(
    reader: CertificateReader, *, shown: Certificates
) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Return what gRPC asks before each handshake, on a thread of its own: None is no change."""

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        found = reader.read()
        if found is shown:
            return None
        shown = found
        return _configuration(found)

    return fetch


def _configuration(found: Certificates) -> grpc.ServerCertificateConfiguration:
    pair = (found.key or b"", found.chain or b"")
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=found.authorities)
