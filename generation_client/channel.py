"""The options of a channel: its targets, load balancing and retries."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Annotated, Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from pydantic import AfterValidator

from atelier.generation.v1 import (
    callback_service_pb2,
    delivery_service_pb2,
    edge_service_pb2,
    generation_service_pb2,
)

_SERVICES: tuple[ServiceDescriptor, ...] = (
    callback_service_pb2.DESCRIPTOR.services_by_name["CallbackService"],
    delivery_service_pb2.DESCRIPTOR.services_by_name["DeliveryService"],
    edge_service_pb2.DESCRIPTOR.services_by_name["EdgeService"],
    generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"],
)


_TARGET = re.compile(r"(dns:///|unix:)?[A-Za-z0-9_.:%/\[\]-]+(?<!:)")
_PATIENT = [
    {"service": "atelier.generation.v1.DeliveryService", "method": "LeaseDeliveries"},
    {"service": "atelier.generation.v1.EdgeService", "method": "LeaseUpdates"},
]
"""What is asked in a loop anyway: it waits for a service that is away instead of failing."""


def channel_target(address: str) -> str:
    """Return the gRPC target of an address: one name, or several IP addresses with commas.

    A name is asked of DNS again whenever a connection is lost, so that new replicas are found.
    """
    targets = _targets(address)
    if len(targets) == 1:
        return targets[0]
    kinds = {_ip_version(target) for target in targets}
    if len(kinds) != 1 or None in kinds:
        raise ValueError("several targets must all be IPv4 or all be IPv6 addresses, or one name")
    return f"ipv{kinds.pop()}:{','.join(targets)}"


def target_hosts(address: str) -> list[str]:
    """Return the hosts of an address, without their ports."""
    return [_host(target) for target in _targets(address)]


def _checked(address: str) -> str:
    targets = _targets(address)
    if not targets or not all(map(_TARGET.fullmatch, targets)):
        raise ValueError("it must be host:port, or several IP addresses with commas between them")
    channel_target(address)
    return address


READ_AHEAD_BYTES = 256 * 1024
"""How much of an answer is taken in before it is read: one piece of a download."""

GenerationAddress = Annotated[str, AfterValidator(_checked)]
"""The type of a setting that says where the service listens."""


def channel_options(*, server_name: str, is_local: bool) -> list[tuple[str, Any]]:
    """Return the options of a channel that spreads calls and comes back fast."""
    named = [("grpc.ssl_target_name_override", server_name)] if server_name else []
    return [
        *named,
        # A proxy that the environment names would lead what is meant for this machine out of it.
        ("grpc.enable_http_proxy", int(not is_local)),
        ("grpc.service_config", json.dumps(service_config())),
        # The service allows a ping every 10 s; core answers more frequent ones with GOAWAY.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.ping_timeout_ms", 10_000),  # 60 s otherwise, whatever the line above says
        ("grpc.initial_reconnect_backoff_ms", 100),
        # Also the time that one try to connect gets, so it may exceed the greatest pause.
        ("grpc.min_reconnect_backoff_ms", 3_000),
        ("grpc.max_reconnect_backoff_ms", 500),  # below what the retries of a call last
        ("grpc.dns_min_time_between_resolutions_ms", 5_000),
        # Left to itself, gRPC reads up to 8 MiB ahead of whoever reads a download slowly.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", READ_AHEAD_BYTES),
    ]


def service_config() -> dict[str, Any]:
    """Return the service config: round robin, and retries of what the contract calls idempotent."""
    methods = [
        {"service": service.full_name, "method": method.name}
        for service in _SERVICES
        for method in service.methods
        if method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
    ]
    retry = {
        "maxAttempts": 5,  # as many as gRPC makes, over some 1.5 s
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {"name": [name for name in methods if name not in _PATIENT], "retryPolicy": retry},
            {"name": _PATIENT, "waitForReady": True},
        ],
    }


def _targets(address: str) -> list[str]:
    return [part.strip() for part in address.split(",") if part.strip()]


def _host(target: str) -> str:
    return target.rpartition(":")[0].strip("[]")


def _ip_version(target: str) -> int | None:
    try:
        return ipaddress.ip_address(_host(target)).version
    except ValueError:
        return None
