"""Registers every service on a server: those of the contract, health and reflection."""

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from atelier.generation.v1 import (
    callback_service_pb2,
    callback_service_pb2_grpc,
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    delivery_service_pb2,
    delivery_service_pb2_grpc,
    edge_service_pb2,
    edge_service_pb2_grpc,
    generation_service_pb2,
    generation_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)
from atelier.wallet.v1 import wallet_service_pb2, wallet_service_pb2_grpc
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.callback_servicer import CallbackServicer
from generation_svc.rpc.catalog_servicer import CatalogServicer
from generation_svc.rpc.delivery_servicer import DeliveryServicer
from generation_svc.rpc.draining import Draining
from generation_svc.rpc.edge_servicer import EdgeServicer
from generation_svc.rpc.generation_servicer import GenerationServicer
from generation_svc.rpc.health_servicer import HealthServicer
from generation_svc.rpc.meter import RpcMeter
from generation_svc.rpc.reflection import enable_reflection
from generation_svc.rpc.stream import StreamTiming
from generation_svc.rpc.wallet_servicer import WalletServicer
from generation_svc.rpc.webhook_servicer import WebhookServicer

CONTRACT = (
    generation_service_pb2,
    callback_service_pb2,
    delivery_service_pb2,
    edge_service_pb2,
    webhook_service_pb2,
    catalog_service_pb2,
    wallet_service_pb2,
)
"""The modules of the contract that hold services."""
SERVICE_NAMES = tuple(
    service.full_name
    for module in CONTRACT
    for service in module.DESCRIPTOR.services_by_name.values()
)
"""The full names of the services of the contract."""


def register(
    server: grpc.aio.Server,
    deps: Dependencies,
    *,
    draining: Draining,
    meter: RpcMeter,
    stream_timing: StreamTiming,
    has_reflection: bool = True,
) -> HealthServicer:
    """Add every service to the server and return the one that tells its health."""
    generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(
        GenerationServicer(deps, draining=draining, timing=stream_timing), server
    )
    callback_service_pb2_grpc.add_CallbackServiceServicer_to_server(
        CallbackServicer(deps, meter=meter), server
    )
    delivery_service_pb2_grpc.add_DeliveryServiceServicer_to_server(
        DeliveryServicer(deps, draining=draining), server
    )
    edge_service_pb2_grpc.add_EdgeServiceServicer_to_server(EdgeServicer(deps), server)
    webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server(WebhookServicer(deps), server)
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogServicer(deps), server)
    wallet_service_pb2_grpc.add_WalletServiceServicer_to_server(WalletServicer(deps), server)
    health_servicer = HealthServicer(draining, write_timeout=stream_timing.write_timeout)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if has_reflection:
        enable_reflection(server, (*SERVICE_NAMES, health.SERVICE_NAME))
    return health_servicer


def set_health(servicer: HealthServicer, *, is_serving: bool) -> None:
    """Tell the health of the server and of each service."""
    answer = health_pb2.HealthCheckResponse
    now = answer.SERVING if is_serving else answer.NOT_SERVING
    servicer.set_all(dict.fromkeys(("", *SERVICE_NAMES), now))
