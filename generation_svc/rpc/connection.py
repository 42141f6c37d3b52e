"""Options that limit connections: their number, their streams and when each is closed.

All of it is kept by gRPC's core, by options of the server. Which option does what was measured with
connections that say nothing, a preface and no more, or stop (`tests/contract/test_connection.py`).
"""

from dataclasses import dataclass
from datetime import timedelta

from generation_svc.rpc.decoding import SIZE_OPTIONS

Options = tuple[tuple[str, int], ...]
MILLISECOND = timedelta(milliseconds=1)
OPTIONS: Options = (
    ("grpc.so_reuseport", 0),  # two servers would share a port silently
    ("grpc.server.max_pending_requests", 10_000),  # more calls at once are CANCELLED otherwise
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
    ("grpc.server_max_unrequested_time_in_server", 120),  # and those that wait longer to be taken
    # A client may ping a connection that has no calls, but not more often than every 10 s: core
    # answers that with GOAWAY (too_many_pings).
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    *SIZE_OPTIONS,
    ("grpc.http2.bdp_probe", 0),  # a stream that nobody reads would buffer megabytes otherwise
)


@dataclass(frozen=True, slots=True)
class ConnectionLife:
    """How long a connection may last.

    Its end frees what a reader that does not read holds, and lets a client find new replicas. gRPC
    core varies the age of each by up to a tenth either way (its max_age filter; its own test calls
    that MAX_CONNECTION_AGE_JITTER_MULTIPLIER 1.1), so clients do not all come again at once.
    """

    age: timedelta = timedelta(minutes=30)
    grace: timedelta = timedelta(seconds=75)
    """What calls that are open then get to finish: as much as the longest of them may take."""

    @property
    def options(self) -> Options:
        """The options of the server."""
        return (
            ("grpc.max_connection_age_ms", self.age // MILLISECOND),
            ("grpc.max_connection_age_grace_ms", self.grace // MILLISECOND),
        )


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be, and how soon one that does nothing is closed."""

    connections: int = 10_000
    """How many are open at once; further ones are closed as they come."""
    streams: int = 10_000
    """Calls that are open on one connection; its client keeps back what is more."""
    handshake: timedelta = timedelta(seconds=10)
    """Until TLS and HTTP/2 have begun: the end of those that are silent, or send a preface only."""
    settings: timedelta = timedelta(seconds=20)
    """Until the client has confirmed the server's settings."""
    idle: timedelta = timedelta(minutes=5)
    """How long a connection without a call stays."""
    ping_after: timedelta = timedelta(seconds=60)
    """The silence after which a client is asked for a sign of life, calls or none."""
    ping_timeout: timedelta = timedelta(seconds=20)
    """How long that sign may take."""

    @property
    def options(self) -> Options:
        """The options of the server.

        Since core has two timers for a ping, the shorter one of keepalive does nothing by itself:
        with `grpc.http2.ping_timeout_ms` at its 60 s a stopped client was noticed after 120 s.
        """
        return (
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.max_concurrent_streams", self.streams),
            ("grpc.server_handshake_timeout_ms", self.handshake // MILLISECOND),
            ("grpc.http2.settings_timeout", self.settings // MILLISECOND),
            ("grpc.max_connection_idle_ms", self.idle // MILLISECOND),
            ("grpc.keepalive_time_ms", self.ping_after // MILLISECOND),
            ("grpc.keepalive_timeout_ms", self.ping_timeout // MILLISECOND),
            ("grpc.http2.ping_timeout_ms", self.ping_timeout // MILLISECOND),
        )


def server_options(limits: ConnectionLimits | None, life: ConnectionLife | None) -> Options:
    """Return all options of the server."""
    return (*OPTIONS, *(limits or ConnectionLimits()).options, *(life or ConnectionLife()).options)
