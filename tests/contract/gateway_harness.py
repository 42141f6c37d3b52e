"""The gateway in this process, before a stand-in for the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from callback_gateway.app import gateway
from callback_gateway.metric import Meter
from callback_gateway.settings import GatewaySettings
from runtime.address import Address
from tests.contract.callback_service import RecordingCallbackService

SUCCESS = b'{"code":200,"msg":"success"}'


@dataclass
class Running:
    address: Address
    registry: CollectorRegistry
    service: RecordingCallbackService = field(default_factory=RecordingCallbackService)

    async def post(self, path: str, body: bytes = b"{}") -> httpx2.Response:
        async with httpx2.AsyncClient() as http:
            return await http.post(f"http://{self.address}{path}", content=body, timeout=20)

    async def answer(self, request: bytes, *, then_close: bool = False) -> tuple[bytes, bytes]:
        """Send bytes and return the status line and the body of the first answer."""
        reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        try:
            writer.write(request)
            if then_close:
                writer.write_eof()
            async with asyncio.timeout(20):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.split(b"content-length: ")[1].split()[0]))
        finally:
            writer.close()
        return head.split(b"\r\n")[0], body

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0

    async def is_handing_on(self) -> bool:
        return self.count("atelier_gateway_connections") > 0

    def not_200(self) -> float:
        return sum(
            sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "atelier_gateway_responses_total"
            and sample.labels["route"] == "callback"
            and sample.labels["status"] != "200"
        )


@asynccontextmanager
async def running(service_port: int, **options: Any) -> AsyncIterator[Running]:
    given_settings = GatewaySettings(
        gateway_listen=Address("127.0.0.1", 0),
        port=None,
        generation_address=f"127.0.0.1:{service_port}",
        generation_token=SecretStr("gateway-token"),
        **options,
    )
    registry = CollectorRegistry()
    async with gateway(given_settings, meter=Meter(registry)) as address:
        yield Running(address, registry)
