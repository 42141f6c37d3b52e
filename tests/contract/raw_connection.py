"""A client that speaks HTTP/2 by hand, and so can do what no gRPC client does."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from google.rpc import status_pb2
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes

from tests.contract.failure import CODES, Refusal, refusal_of

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERVICE = "/atelier.generation.v1.GenerationService"


def framed(message: bytes, *, flag: int = 0) -> bytes:
    """Return a message as gRPC sends it."""
    return struct.pack(">BI", flag, len(message)) + message


@dataclass
class RawConnection:
    """One connection, whose client reads only when it is told to."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: H2Connection
    headers: dict[int, dict[str, str]] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    settings: dict[int, int] = field(default_factory=dict)
    is_open: bool = True

    async def begin(self, *, window: int | None = None) -> None:
        """Begin HTTP/2; with a window of zero no answer can leave."""
        self.http.initiate_connection()
        if window is not None:
            self.http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        await self.flush()

    async def ask(
        self, path: str, data: bytes, *, headers: Iterable[tuple[str, str]] = (), end: bool = True
    ) -> int:
        """Send a call with whatever stands for its messages, and return its stream."""
        stream = self.http.get_next_available_stream_id()
        fixed = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")]
        fixed += [("content-type", "application/grpc"), ("te", "trailers"), *headers]
        self.http.send_headers(stream, fixed)
        await self.flush()
        while data and stream not in self.ended and self.is_open:
            size = min(self.http.local_flow_control_window(stream), 16384, len(data))
            if not size:
                await self.read()
                continue
            self.http.send_data(stream, data[:size])
            data = data[size:]
            await self.flush()
        if end and stream not in self.ended and self.is_open:
            self.http.end_stream(stream)
            await self.flush()
        return stream

    async def refusal(self, stream: int, *, within_s: float = 30) -> Refusal:
        """Read until a call has ended, and return what it was refused with."""
        async with asyncio.timeout(within_s):
            while stream not in self.ended and self.is_open:
                await self.read()
        head = self.headers.get(stream, {})
        details = head.get("grpc-status-details-bin")
        if details is None:
            code = CODES[int(head["grpc-status"])] if "grpc-status" in head else None
            return Refusal(code or grpc.StatusCode.UNKNOWN, head.get("grpc-message", ""))
        return refusal_of(status_pb2.Status.FromString(base64.b64decode(details + "==")))

    async def ping(self) -> None:
        """Answer what came, for a moment: this client is alive, and no more."""
        try:
            async with asyncio.timeout(0.05):
                await self.read()
        except TimeoutError:
            return

    async def read(self) -> None:
        """Take in what came next."""
        try:
            data = await self.reader.read(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.is_open = False
            return
        for event in self.http.receive_data(data):
            self._note(event)
        await self.flush()

    async def end(self, *, within_s: float) -> None:
        """Wait until the server has closed the connection."""
        async with asyncio.timeout(within_s):
            while self.is_open:
                try:
                    self.is_open = bool(await self.reader.read(65536))
                except ConnectionError:
                    self.is_open = False

    async def flush(self) -> None:
        """Send what is to be sent; a connection that is closed takes nothing."""
        try:
            self.writer.write(self.http.data_to_send())
            await self.writer.drain()
        except ConnectionError:
            self.is_open = False

    def _note(self, event: object) -> None:
        match event:
            case ResponseReceived() | TrailersReceived():
                assert event.stream_id is not None
                assert event.headers is not None
                head = self.headers.setdefault(event.stream_id, {})
                head.update((_text(name), _text(value)) for name, value in event.headers)
            case DataReceived():
                assert event.stream_id is not None
                assert event.flow_controlled_length is not None
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded() | StreamReset():
                assert event.stream_id is not None
                self.ended.add(event.stream_id)
            case ConnectionTerminated():
                self.is_open = False
            case RemoteSettingsChanged():
                changed = event.changed_settings.items()
                self.settings.update((int(key), each.new_value) for key, each in changed)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


@asynccontextmanager
async def raw_connection(address: str) -> AsyncIterator[RawConnection]:
    """Open a connection on which nothing was sent yet."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    config = H2Configuration(client_side=True, header_encoding="latin-1")
    try:
        yield RawConnection(reader, writer, H2Connection(config))
    finally:
        writer.transport.abort()
