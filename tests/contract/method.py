"""The RPCs of the contract, as its descriptors tell them."""

from __future__ import annotations

from generation_svc.rpc.register import CONTRACT

METHODS = tuple(
    f"/{service.full_name}/{method.name}"
    for module in CONTRACT
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
)
"""Every RPC of the contract, by the full name as gRPC spells it."""
