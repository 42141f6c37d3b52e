"""Errors of calls and health checks that name something that does not exist."""

from generation_svc.domain.error import AtelierError


class MethodNotFound(AtelierError):
    """The called service or RPC does not exist."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"RPC {name!r} not found on this server.")


class ServiceNotFound(AtelierError):
    """The health of an unknown service was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Service {name!r} not found on this server.")
