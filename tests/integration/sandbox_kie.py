"""A sandbox KIE on a free port, and somebody who waits for its callbacks."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.kie.app import create_app
from sandbox.kie.settings import KieSettings
from sandbox.server import address, bind, running

HEADERS = {"authorization": "Bearer key", "user-agent": "atelier-test"}
FAST: dict[str, Any] = {
    "duration_s": 0.02,
    "visible_after_s": 0,
    "create_limit": 1000,
    "read_limit": 1000,
    "callback_retry_delay_s": 0.01,
}
BODIES = json.loads((Path(__file__).parents[1] / "fixtures/kie_bodies.json").read_text())
Json = dict[str, Any]


def recorded(name: str) -> Any:
    """Return the first recorded body of this name."""
    return next(each["body"] for each in BODIES["examples"] if each["name"] == name)


def picture(*, size: tuple[int, int] = (300, 200), color: str = "teal") -> bytes:
    out = BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    with Image.open(BytesIO(content)) as image:
        image.load()
        return image


async def eventually(condition: Callable[[], Any], *, within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


@dataclass
class Received:
    """A callback as it arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Json:
        parsed: Json = json.loads(self.raw)
        return parsed


@dataclass
class Receiver:
    """Takes callbacks; `statuses` are answered first, then 200."""

    url: str
    got: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        raw = await request.body()
        self.got.append(Received(request.url.path, dict(request.headers), raw))
        status = self.statuses.pop(0) if self.statuses else 200
        return JSONResponse({"code": 200, "msg": "success"}, status)

    async def first(self, count: int = 1) -> list[Received]:
        await eventually(lambda: len(self.got) >= count)
        return self.got[:count]


@dataclass
class SandboxKie:
    """The sandbox from outside: its address and a client for it."""

    url: str
    http: httpx2.AsyncClient

    async def create(
        self, model: str = "z-image", *, to: Receiver | None = None, **fields: Any
    ) -> Json:
        """Call createTask and return the body."""
        return await self.ordered(model, fields, to=to)

    async def ordered(self, model: str, fields: Json, *, to: Receiver | None = None) -> Json:
        """Call createTask with fields of any name and return the body."""
        order: Json = {"model": model, "input": fields}
        order |= {"callBackUrl": f"{to.url}/callbacks/kie/token"} if to else {}
        response = await self.http.post("/api/v1/jobs/createTask", json=order)
        assert response.status_code == 200
        body: Json = response.json()
        return body

    async def task(
        self, model: str = "z-image", *, to: Receiver | None = None, **fields: Any
    ) -> str:
        """Create a task and return its id."""
        body = await self.create(model, to=to, **fields)
        assert body["code"] == 200, body
        return str(body["data"]["taskId"])

    async def read(self, task_id: str) -> Json:
        response = await self.http.get("/api/v1/jobs/recordInfo", params={"taskId": task_id})
        assert response.status_code == 200
        body: Json = response.json()
        return body

    async def ended(self, task_id: str) -> Json:
        """Return `data` of recordInfo once the task has ended."""
        deadline = time.monotonic() + 10
        while (data := (await self.read(task_id))["data"])["state"] not in ("success", "fail"):
            assert time.monotonic() < deadline, data
            await asyncio.sleep(0.01)
        record: Json = data
        return record

    async def results(self, task_id: str) -> list[str]:
        record = await self.ended(task_id)
        links: list[str] = json.loads(record["resultJson"])["resultUrls"]
        return links

    async def picture(self, url: str) -> Image.Image:
        response = await self.http.get(url)
        assert response.status_code == 200
        return opened(response.content)

    async def upload(self, content: bytes, *, name: str = "input.png") -> str:
        data = {
            "base64Data": base64.b64encode(content).decode(),
            "uploadPath": "t",
            "fileName": name,
        }
        response = await self.http.post("/api/file-base64-upload", json=data)
        return str(response.json()["data"]["downloadUrl"])

    async def arm(self, name: str, **fault: Any) -> None:
        response = await self.http.post("/sandbox/faults", json={"name": name, **fault})
        assert response.status_code == 200, response.text

    async def counters(self) -> Json:
        counted: Json = (await self.http.get("/sandbox/counters")).json()
        return counted

    async def change(self, **settings: Any) -> None:
        response = await self.http.patch("/sandbox/settings", json=settings)
        assert response.status_code == 200, response.text


@asynccontextmanager
async def sandbox_kie(**settings: Any) -> AsyncIterator[SandboxKie]:
    """Run a sandbox KIE that is fast and generous unless the settings say otherwise."""
    sock = bind("127.0.0.1:0")
    url = f"http://{address(sock)}"
    app = create_app(KieSettings(**{**FAST, **settings, "base_url": url}))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(app, sock=sock))
        client = httpx2.AsyncClient(base_url=url, headers=HEADERS, trust_env=False)
        yield SandboxKie(url, await stack.enter_async_context(client))


@asynccontextmanager
async def callback_receiver() -> AsyncIterator[Receiver]:
    """Run a receiver of callbacks."""
    sock = bind("127.0.0.1:0")
    receiver = Receiver(f"http://{address(sock)}")
    app = Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST"])])
    async with running(app, sock=sock):
        yield receiver
