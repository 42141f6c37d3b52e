"""What a process counts is made in its wiring, on a registry of its own."""

import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from generation_svc.caller.meter import CallerMeter
from generation_svc.lifecycle.meter import ServiceMeter
from generation_svc.media.meter import MediaMeter
from generation_svc.provider.kie.meter import KieMeter
from generation_svc.rpc.meter import RpcMeter
from generation_svc.webhook.meter import WebhookMeter
from tests.contract.service import Service

ROOT = Path(__file__).parents[2]
_IMPORT_ALL = """
import pkgutil, sys
from importlib import import_module
from prometheus_client import REGISTRY

before = {metric.name for metric in REGISTRY.collect()}
for name in sys.argv[1:]:
    package = import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
print(sorted({metric.name for metric in REGISTRY.collect()} - before))
"""


def names_in(registry: CollectorRegistry) -> set[str]:
    return {metric.name for metric in registry.collect()}


def test_importing_the_product_makes_no_metric() -> None:
    packages = ("generation_svc", "generation_client", "edge_bot", "callback_gateway", "runtime")
    command = [sys.executable, "-c", _IMPORT_ALL, *packages]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_every_metric_says_whose_it_is() -> None:
    registry = CollectorRegistry()
    for meter in (CallerMeter, KieMeter, MediaMeter, RpcMeter, WebhookMeter, ServiceMeter):
        meter(registry)  # which would refuse a name that is taken
    assert all(name.startswith("atelier_") for name in names_in(registry))


async def test_the_wiring_shows_what_every_part_counts(idle_service: Service) -> None:
    registry = CollectorRegistry()
    for meter in (KieMeter, MediaMeter, RpcMeter, WebhookMeter, ServiceMeter):
        meter(registry)
    assert names_in(idle_service.registry) == names_in(registry)
