"""The authorities that servers are checked against, read once for every client that calls them.

Reading them takes longer than opening the client, and each reading has a memory of its own.
"""

import os
import ssl

import httpx2


def client_tls() -> ssl.SSLContext:
    """Return what checks servers as the environment says, which may name other authorities."""
    return httpx2.create_ssl_context()


def without_environment(tls: ssl.SSLContext) -> ssl.SSLContext:
    """Return what checks servers whatever the environment says: the same, where it says nothing."""
    is_named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return httpx2.create_ssl_context(trust_env=False) if is_named else tls
