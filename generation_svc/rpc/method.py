"""What a call asks for: an RPC that there is, by its full name."""

from generation_svc.domain.error import AtelierError


class MethodNotFound(AtelierError):
    """There is no such service or RPC."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no RPC {name!r} on this server.")


class ServiceNotFound(AtelierError):
    """The health of a service is asked for that there is not."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no service {name!r} on this server.")
