"""The second door: every RPC of the contract. The third: those about money, more of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from atelier.generation.v1 import delivery_service_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.rpc.register import CONTRACT
from tests.contract.failure import refusal_of_error
from tests.e2e.person import photo
from tests.e2e.stack import Stack
from tests.fuzz.access import BEARERS
from tests.fuzz.door import Tally, attack
from tests.fuzz.known import Known
from tests.fuzz.message import Messages
from tests.fuzz.money import learn_money
from tests.fuzz.odd import Odd
from tests.fuzz.picture import Pictures

METHODS: list[MethodDescriptor] = [
    method
    for module in CONTRACT
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
ABOUT_MONEY = [each for each in METHODS if each.containing_service.name == "WalletService"]
CREATE = next(each for each in METHODS if each.name == "CreateJob")
UPLOAD = next(each for each in METHODS if each.name == "UploadInput")
MAX_WAIT_S = 0.4
"""How long a call may take: some wait for as long as they are asked to."""
OVERDUE_S = 30.0
"""How long one may take that does not wait."""
WAITING = {"WaitJob", "StreamJobUpdates", "LeaseDeliveries", "LeaseUpdates"}
FAULTS = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "UNIMPLEMENTED"}
OF_GRPC = {"DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED"}
"""What gRPC itself says, without a reason of ours."""
PICTURE = photo(32, 32)


@dataclass(frozen=True)
class Asked:
    """A call to make: one message, or several for a client stream."""

    method: MethodDescriptor
    messages: tuple[bytes, ...]
    bearer: str


class Calls:
    """Draws calls."""

    def __init__(self, odd: Odd, known: Known, *, methods: Sequence[MethodDescriptor]) -> None:
        self._odd, self._methods = odd, methods
        self._messages = Messages(odd, known)
        self._pictures = Pictures(odd)

    def __call__(self) -> Asked:
        often = self._odd.pick((CREATE, UPLOAD))
        method = often if self._odd.chance(0.2) else self._odd.pick(self._methods)
        if not method.client_streaming:
            return self._asked(method, self._messages.raw(method.input_type))
        return self._asked(method, *self._upload(method))

    def _asked(self, method: MethodDescriptor, *messages: bytes) -> Asked:
        return Asked(method, messages, self._odd.pick(BEARERS))

    def _upload(self, method: MethodDescriptor) -> Iterator[bytes]:
        odd = self._odd
        if odd.chance(0.7):
            data = PICTURE if odd.chance(0.2) else self._pictures()
            yield pb.UploadInputRequest(owner=odd.text()[:100], data=data).SerializeToString()
            if odd.chance(0.8):
                return
        for _ in range(odd.random.randrange(4)):
            yield self._messages.raw(method.input_type)


async def storm(
    running: Stack,
    known: Known,
    *,
    seed: int,
    inputs: int,
    door: str = "gRPC",
    methods: Sequence[MethodDescriptor] = METHODS,
) -> Tally:
    """Call the service; return what came of it."""
    tally, odd = Tally(door), Odd(f"{seed} {door}")
    async with grpc.aio.insecure_channel(running.service.env["GENERATION_LISTEN"]) as channel:
        caller = _Caller(channel, tally, known)
        await attack(tally, Calls(odd, known, methods=methods), caller, inputs=inputs)
    return tally


class _Caller:
    def __init__(self, channel: grpc.aio.Channel, tally: Tally, known: Known) -> None:
        self._channel, self._tally, self._known = channel, tally, known

    async def __call__(self, asked: Asked) -> str:
        try:
            await self._made(asked)
        except grpc.aio.AioRpcError as error:
            self._judge(asked, error)
            return error.code().name
        return "OK"

    async def _made(self, asked: Asked) -> None:
        method = asked.method
        kind = f"{_streams(method.client_streaming)}_{_streams(method.server_streaming)}"
        path = f"/{method.containing_service.full_name}/{method.name}"
        answer = GetMessageClass(method.output_type)
        call: Any = getattr(self._channel, kind)(path, response_deserializer=answer.FromString)
        request = iter(asked.messages) if method.client_streaming else asked.messages[0]
        patience = MAX_WAIT_S if method.name in WAITING else OVERDUE_S
        made = call(request, timeout=patience, metadata=[("authorization", asked.bearer)])
        if method.server_streaming:
            async for _ in made:
                pass
        else:
            self._learn(await made)

    def _judge(self, asked: Asked, error: grpc.aio.AioRpcError) -> None:
        code, refusal = error.code().name, refusal_of_error(error)
        is_late = code == "DEADLINE_EXCEEDED" and asked.method.name not in WAITING
        is_lost = code == "UNAVAILABLE" and asked.method is UPLOAD  # it ended two processes
        is_silent = code not in OF_GRPC and not refusal.reason
        if code in FAULTS or refusal.reason == "INTERNAL" or is_late or is_silent or is_lost:
            shown = [each[:200] for each in asked.messages]
            self._tally.find(f"{code} {error.details()!r} for {asked.method.name} {shown}")

    def _learn(self, answer: Any) -> None:
        learn_money(self._known, answer)
        if page_token := getattr(answer, "next_page_token", ""):
            self._known.learn(self._known.pages, page_token)
        match answer:
            case pb.CreateJobResponse():
                self._known.learn(self._known.jobs, answer.job.id)
            case pb.UploadInputResponse():
                self._known.learn(self._known.uploads, answer.upload.id)
            case delivery_service_pb2.LeaseDeliveriesResponse():
                for each in answer.deliveries:
                    self._known.learn(self._known.leases, each.lease_token)


def _streams(is_streaming: bool) -> str:
    return "stream" if is_streaming else "unary"
