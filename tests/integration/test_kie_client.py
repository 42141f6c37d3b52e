import asyncio
import json
import os
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from starlette.datastructures import UploadFile
from starlette.requests import Request

from generation_svc.domain.error import (
    ProviderAccount,
    ProviderBusy,
    ProviderError,
    ProviderMaintenance,
    ProviderRefused,
    ProviderSilent,
    ProviderUnreachable,
)
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.provider import FreshLink, ProviderRequest, Submitted
from generation_svc.provider.kie.client import UPLOAD_PATH, KieClient, open_kie
from generation_svc.provider.kie.form import Form
from runtime.redaction import redact
from tests.kie_body import ABOUT_A_TASK, EXAMPLES
from tests.media import holding

Handler = Callable[[httpx2.Request], Any]

LINK = "https://tempfile.aiquickdraw.com/a.png"
CREATED = {"code": 200, "msg": "success", "data": {"taskId": "t1", "recordId": "t1"}}


class Kie:
    """A KIE that gives one answer, and keeps the requests."""

    def __init__(
        self, body: Any = None, *, status: int = 200, error: type[Exception] | None = None
    ):
        self.requests: list[httpx2.Request] = []
        self._body, self._status, self._error = body, status, error

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self._error is not None:
            raise self._error("as asked")
        if isinstance(self._body, str | bytes):
            return httpx2.Response(self._status, content=self._body)
        return httpx2.Response(self._status, json=self._body)


FIRST = "default"
KEYS = {FIRST: "the-key", "second": "the-other-key"}
REQUEST = ProviderRequest("z-image", {"prompt": "cat"})


@asynccontextmanager
async def client_of(handler: Handler, **options: Any) -> AsyncIterator[KieClient]:
    transport = httpx2.MockTransport(handler)
    async with open_kie(
        KEYS, api_url="http://kie", upload_url="http://up/", transport=transport, **options
    ) as client:
        yield client


async def submit(
    client: KieClient, request: ProviderRequest, *, callback_url: str | None = None
) -> Submitted | Observation:
    return await client.submit(uuid4(), request, callback_url=callback_url, account=FIRST)


async def create(kie: Handler, *, callback_url: str | None = None) -> str:
    async with client_of(kie) as client:
        answer = await submit(client, REQUEST, callback_url=callback_url)
    assert isinstance(answer, Submitted)
    return answer.handle


async def read(kie: Handler) -> Observation:
    async with client_of(kie) as client:
        return await client.read("t1", account=FIRST)


async def upload(kie: Handler) -> str:
    async with client_of(kie) as client:
        with holding(b"bytes") as path:
            return await client.upload(
                path, file_name="my cat.png", mime_type="image/png", account=FIRST
            )


async def fresh_link(kie: Handler) -> FreshLink:
    async with client_of(kie) as client:
        return await client.fresh_link(LINK, account=FIRST)


async def balance(kie: Handler) -> Decimal:
    async with client_of(kie) as client:
        return await client.balance(FIRST)


CALLS = {
    "createTask": create,
    "recordInfo": read,
    "fileUpload": upload,
    "downloadUrl": fresh_link,
    "credits": balance,
    "transport": create,
}

UPLOADED = "https://tempfile.redpandaai.co/kieai/136592/images/test-uploads/test-base64.png"

EXPECTED: dict[str, list[Any]] = {
    "00 createTask ok": ["181aa92da8ed02fbaa6d85dd1a5795e3"],
    "01 createTask ok": ["330a9433fd309e9e18df1c567ae38471"],
    "02 401 bad or missing headers": [ProviderAccount],
    "03 401 live": [ProviderAccount],
    "04 402 no credits": [ProviderAccount],
    "05 422 unknown model": [ProviderRefused],
    "06 500 missing field": [ProviderRefused],
    "07 500 missing field": [ProviderRefused],
    "08 Cloudflare refuses a non-browser User-Agent": [ProviderAccount],
    "18 recordInfo 400": [Observation(ProviderState.UNKNOWN, word="code 400")],
    "19 recordInfo 401": [ProviderAccount],
    "20 recordInfo 404": [Observation(ProviderState.MISSING)],
    "39 base64 upload ok": [UPLOADED],
    "40 upload errors": [ProviderRefused, ProviderRefused, ProviderAccount, ProviderBusy],
    "41 credit balance": [Decimal("5916.25")],
    "42 download-url refused": [ProviderRefused],
    "43 download-url ok": [
        FreshLink("https://tempfile.1f6cxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxbd98", is_proved=False)
    ],
}
READ_BY_FAILURES = {"21 Failure texts seen in failCode/failMsg"}


def test_every_body_that_is_about_no_task_is_expected() -> None:
    assert set(EXPECTED) | READ_BY_FAILURES == set(EXAMPLES) - ABOUT_A_TASK


@pytest.mark.parametrize("name", EXPECTED)
async def test_known_answer_is_read_as_it_should_be(name: str) -> None:
    example = EXAMPLES[name]
    call: Any = CALLS[example["kind"].partition(".")[0]]
    bodies = example["body"] if isinstance(example["body"], list) else [example["body"]]
    for body, expected in zip(bodies, EXPECTED[name], strict=True):
        kie = Kie(body, status=example.get("http_status", 200))
        if isinstance(expected, type):
            with pytest.raises(expected):
                await call(kie)
        else:
            assert await call(kie) == expected


async def test_create_task_sends_what_kie_wants() -> None:
    kie = Kie(CREATED)
    assert await create(kie, callback_url="https://gate/callbacks/kie/token") == "t1"
    (request,) = kie.requests
    assert (request.method, str(request.url)) == ("POST", "http://kie/api/v1/jobs/createTask")
    assert request.headers["authorization"] == "Bearer the-key"
    assert request.headers["user-agent"].startswith("Atelier/")
    assert json.loads(request.content) == {
        "model": "z-image",
        "input": {"prompt": "cat"},
        "callBackUrl": "https://gate/callbacks/kie/token",
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": 401, "msg": f"{'x' * 180} invalid key an-echoed-key"}, 200),
        ({"code": 422, "msg": "an-echoed-key is not valid"}, 200),
        ("error: an-echoed-key", 403),
    ],
)
async def test_a_key_that_is_repeated_in_a_refusal_is_in_no_error(body: Any, status: int) -> None:
    """Errors are stored, and the trace of a job shows them."""
    redact("an-echoed-key")
    async with client_of(Kie(body, status=status)) as client:
        with pytest.raises(ProviderError) as told:
            await submit(client, REQUEST)
    assert "an-e" not in repr((told.value, vars(told.value)))


async def test_no_callback_url_is_not_sent() -> None:
    kie = Kie(CREATED)
    await create(kie)
    assert "callBackUrl" not in json.loads(kie.requests[0].content)


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        (400, "bad input", FailureReason.REQUEST_REFUSED),
        (404, "not found", FailureReason.REQUEST_REFUSED),
        (422, "validation", FailureReason.REQUEST_REFUSED),
        (422, "The model name you specified is not supported.", FailureReason.MODEL_UNAVAILABLE),
        (422, "CONTENT_POLICY_BLOCKED: flagged", FailureReason.CONTENT_REFUSED),
        (500, "This field is required", FailureReason.REQUEST_REFUSED),
        (500, "prompt is required", FailureReason.REQUEST_REFUSED),
        (
            500,
            "This aspect_ratio is not within the range of allowed options",
            FailureReason.REQUEST_REFUSED,
        ),
        (500, "Inappropriate content, please try another", FailureReason.CONTENT_REFUSED),
        (
            500,
            "This interface is temporarily paused, please use another one.",
            FailureReason.MODEL_UNAVAILABLE,
        ),
        (
            422,
            "The page does not exist or is not published",
            FailureReason.MODEL_UNAVAILABLE,
        ),
        (501, "Generation failed", FailureReason.GENERATION_FAILED),
        (505, "Feature Disabled", FailureReason.MODEL_UNAVAILABLE),
    ],
)
async def test_refusal_is_final_and_has_a_reason(
    code: int, message: str, reason: FailureReason
) -> None:
    with pytest.raises(ProviderRefused) as caught:
        await create(Kie({"code": code, "msg": message, "data": None}))
    assert (caught.value.reason, caught.value.code) == (reason, str(code))
    assert message not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"code": 401, "msg": "Unauthorized"}, ProviderAccount),
        ({"code": 402, "message": "Credits insufficient : top up"}, ProviderAccount),
        ({"code": 500, "msg": "Credits insufficient : top up"}, ProviderAccount),
        ({"code": 433, "msg": "sub-key limit"}, ProviderAccount),
        ({"code": 455, "msg": "maintenance"}, ProviderMaintenance),
        ({"code": 429, "msg": "Your call frequency is too high."}, ProviderBusy),
        ({"code": "429", "msg": "Your call frequency is too high."}, ProviderBusy),
        ({"code": 500, "msg": "Server exception, please try again later"}, ProviderBusy),
        ({"code": 500}, ProviderBusy),
        ({"code": 499, "msg": "new"}, ProviderBusy),
        ({"code": 408, "msg": "upstream timeout"}, ProviderSilent),
        ({"code": 504, "msg": "gateway timeout"}, ProviderSilent),
        ({"code": 999}, ProviderSilent),
        ({"code": 200, "data": None}, ProviderSilent),
        ({"code": 200, "data": {"taskId": ""}}, ProviderSilent),
        ({"code": 200, "data": {"taskId": True}}, ProviderSilent),
        ({"code": 503, "msg": "Service unavailable"}, ProviderBusy),
        ({"code": 502, "msg": "bad gateway"}, ProviderSilent),
        ({"msg": "success"}, ProviderSilent),
        ([], ProviderSilent),
        ("<html>", ProviderSilent),
        ('{"code":', ProviderSilent),
        ("", ProviderSilent),
    ],
    ids=repr,
)
async def test_code_in_the_body_of_create_task(body: Any, error: type[ProviderError]) -> None:
    with pytest.raises(error) as caught:
        await create(Kie(body))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, "", ProviderBusy),
        (429, {"code": 429, "msg": "too high"}, ProviderBusy),
        (455, "", ProviderMaintenance),
        (401, "", ProviderAccount),
        (402, "", ProviderAccount),
        (403, "error code: 1010", ProviderAccount),
        (422, {"code": 422, "msg": "wrong"}, ProviderRefused),
        (404, "<html>no such page</html>", ProviderUnreachable),
        (404, {"code": "nothing"}, ProviderUnreachable),
        (413, {"code": 200}, ProviderUnreachable),
        (302, "", ProviderUnreachable),
        (500, {"code": 500, "msg": "This field is required"}, ProviderRefused),
        (500, {"code": 500, "msg": "Server exception, please try again later"}, ProviderBusy),
        (503, {"code": 503, "msg": "Service unavailable", "data": None}, ProviderBusy),
        (503, {"code": 455, "msg": "maintenance"}, ProviderMaintenance),
        (503, {"code": 200, "data": {}}, ProviderSilent),
        (503, {"status": 503, "error": "no healthy upstream"}, ProviderSilent),
        (502, {"code": 502, "msg": "bad gateway"}, ProviderSilent),
        (502, "Bad Gateway", ProviderSilent),
        (503, "", ProviderSilent),
        (524, "a timeout occurred", ProviderSilent),
    ],
    ids=repr,
)
async def test_real_status_of_create_task(
    status: int, body: Any, error: type[ProviderError]
) -> None:
    with pytest.raises(error) as caught:
        await create(Kie(body, status=status))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("transport_error", "error"),
    [
        (httpx2.ConnectError, ProviderUnreachable),
        (httpx2.ConnectTimeout, ProviderUnreachable),
        (httpx2.PoolTimeout, ProviderUnreachable),
        (httpx2.ProxyError, ProviderUnreachable),
        (httpx2.ReadTimeout, ProviderSilent),
        (httpx2.ReadError, ProviderSilent),
        (httpx2.WriteError, ProviderSilent),
        (httpx2.WriteTimeout, ProviderSilent),
        (httpx2.RemoteProtocolError, ProviderSilent),
        (httpx2.DecodingError, ProviderSilent),
    ],
)
async def test_transport_error_of_create_task(
    transport_error: type[Exception], error: type[ProviderError]
) -> None:
    with pytest.raises(error) as caught:
        await create(Kie(error=transport_error))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ({"code": 200, "data": {"taskId": 181992, "recordId": 181992}}, "181992"),
        ({"code": 200, "data": {"taskId": "t1", "x": "y" * 2**21}}, "t1"),
        ({"code": 200, "data": {"x": "y" * 2**22, "taskId": "t1"}}, "t1"),
        ({"data": {"x": '"taskId":"no"' * 2**18, "taskId": 7}, "code": "200"}, "7"),
        ({"code": 200, "data": {"taskId": "t1", "x": "y" * 2**24}}, "t1"),
    ],
    ids=["number", "long", "long before it", "long in strings", "endless"],
)
async def test_task_is_found_in_an_unusual_answer(body: Any, task_id: str) -> None:
    """Whoever does not find it pays for a second one."""
    assert await create(Kie(body)) == task_id


@pytest.mark.parametrize(
    "body",
    [
        {"code": 500, "msg": "no", "data": {"taskId": "t1", "x": "y" * 5 * 2**20}},
        {"code": 200, "data": {"x": "y" * 2**24, "taskId": "behind the limit"}},
        {"code": 200, "data": {"x": '"taskId":"t1"' * 2**18}},
    ],
    ids=["refused", "behind the limit", "in a string"],
)
async def test_long_answer_that_grants_no_task_leaves_it_in_doubt(body: Any) -> None:
    with pytest.raises(ProviderSilent):
        await create(Kie(body))


@cache
def bomb() -> bytes:
    """400 kB that stand for 400 MB."""
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(b'{"code":200,"data":"')]
    pieces += [packer.compress(b"x" * 2**20) for _ in range(400)]
    return b"".join((*pieces, packer.flush()))


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 2**16):
        yield data[start : start + 2**16]


def answering_with_a_bomb(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, content=in_pieces(bomb()), headers={"content-encoding": "gzip"})


@pytest.mark.parametrize("call", [read, create, upload, fresh_link, balance])
async def test_body_that_unpacks_to_too_much_is_read_up_to_a_limit(call: Any) -> None:
    assert len(bomb()) < 500_000
    tracemalloc.start()
    try:
        with pytest.raises(ProviderError):
            await call(answering_with_a_bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20


async def test_link_from_an_api_behind_tls_is_proved() -> None:
    kie = httpx2.MockTransport(Kie({"code": 200, "data": LINK}))
    async with open_kie(KEYS, api_url="https://kie", transport=kie) as client:
        assert await client.fresh_link(LINK, account=FIRST) == FreshLink(LINK, is_proved=True)


async def test_answer_that_never_ends_leaves_create_task_in_doubt() -> None:
    async def hang(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with client_of(hang, create_timeout=timedelta(milliseconds=10)) as client:
        with pytest.raises(ProviderSilent):
            await submit(client, REQUEST)


@pytest.mark.parametrize("call", [read, upload, fresh_link, balance])
@pytest.mark.parametrize(
    "kie",
    [
        Kie(error=httpx2.ReadTimeout),
        Kie(error=httpx2.RemoteProtocolError),
        Kie("Bad Gateway", status=502),
        Kie("<html>"),
        Kie({"code": 504}),
    ],
    ids=["timeout", "cut", "502", "no JSON", "504 in the body"],
)
async def test_only_create_task_is_ever_in_doubt(call: Any, kie: Kie) -> None:
    with pytest.raises(ProviderUnreachable):
        await call(kie)


@pytest.mark.parametrize("call", [read, upload, fresh_link, balance])
@pytest.mark.parametrize(
    ("kie", "error"),
    [
        (Kie({"code": 401, "msg": "Unauthorized"}), ProviderAccount),
        (Kie({"code": 429, "msg": "too high"}), ProviderBusy),
        (Kie("", status=429), ProviderBusy),
        (Kie({"code": 455}), ProviderMaintenance),
        (Kie({"code": 500, "msg": "Internal server error"}), ProviderBusy),
    ],
    ids=["401", "429", "real 429", "455", "500"],
)
async def test_every_call_reads_the_same_table(
    call: Any, kie: Kie, error: type[ProviderError]
) -> None:
    with pytest.raises(error):
        await call(kie)


async def test_read_task_asks_for_the_task() -> None:
    data = {"taskId": "t1", "state": "success", "resultJson": {"resultUrls": [LINK]}}
    kie = Kie({"code": 200, "data": data})
    assert (await read(kie)).result_urls == (LINK,)
    assert str(kie.requests[0].url) == "http://kie/api/v1/jobs/recordInfo?taskId=t1"


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"code": 422, "msg": "recordInfo is null", "data": None}, ProviderState.MISSING),
        ({"code": 501, "msg": "dead", "data": None}, ProviderState.FAILED),
        ({"code": 408, "msg": "dead", "data": None}, ProviderState.FAILED),
        ({"code": 422, "msg": "what is this"}, ProviderState.UNKNOWN),
        ({"code": 505, "msg": "switched off"}, ProviderState.UNKNOWN),
        ({"code": 500, "msg": "taskId is required"}, ProviderState.UNKNOWN),
        ({"code": 200, "data": {"taskId": "t1", "state": "paused"}}, ProviderState.UNKNOWN),
        ({"code": 200, "data": {"taskId": "another", "state": "fail"}}, ProviderState.UNKNOWN),
    ],
)
async def test_refused_read_settles_nothing(body: Any, state: ProviderState) -> None:
    assert (await read(Kie(body))).state is state


async def test_upload_is_a_form_with_a_name_of_its_own() -> None:
    kie = Kie({"success": True, "code": 200, "data": {"downloadUrl": LINK}})
    assert [await upload(kie), await upload(kie)] == [LINK, LINK]
    first, second = (request.content for request in kie.requests)
    assert str(kie.requests[0].url) == "http://up/api/file-stream-upload"
    assert b'name="file"' in first
    assert b"image/png" in first
    assert b'name="uploadPath"' in first
    assert b"-my_cat.png" in first
    assert first.partition(b'filename="')[2][:32] != second.partition(b'filename="')[2][:32]


async def test_upload_is_streamed_and_says_how_long_it_is() -> None:
    kie, size = Kie({"success": True, "code": 200, "data": {"downloadUrl": LINK}}), 40 * 2**20
    with holding(b"") as path:
        os.truncate(path, size)
        tracemalloc.start()
        try:
            form = Form(
                fields={"uploadPath": "a"}, path=path, file_name="b.mp4", mime_type="video/mp4"
            )
            length = int((await form.headers())["Content-Length"])
            sizes = [len(piece) async for piece in form.pieces()]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (sum(sizes), length > size) == (length, True)
    assert peak < size / 5
    await upload(kie)
    headers = kie.requests[0].headers
    assert int(headers["content-length"]) == len(kie.requests[0].content)
    assert "transfer-encoding" not in headers


async def test_upload_is_read_as_any_form_is() -> None:
    kie = Kie({"success": True, "code": 200, "data": {"downloadUrl": LINK}})
    await upload(kie)
    request = kie.requests[0]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.content, "more_body": False}

    headers = [(name.lower(), value) for name, value in request.headers.raw]
    scope = {"type": "http", "method": "POST", "headers": headers}
    async with Request(scope, receive).form() as form:
        file = form["file"]
        assert isinstance(file, UploadFile)
        assert (await file.read(), file.content_type) == (b"bytes", "image/png")
        assert form["fileName"] == file.filename
        assert form["uploadPath"] == UPLOAD_PATH


@pytest.mark.parametrize("data", [None, {}, {"downloadUrl": "ftp://x/a"}, {"downloadUrl": 5}])
async def test_upload_without_a_link_is_no_upload(data: Any) -> None:
    with pytest.raises(ProviderUnreachable):
        await upload(Kie({"success": True, "code": 200, "data": data}))


async def test_upload_that_did_not_succeed_under_code_200_is_no_upload() -> None:
    with pytest.raises(ProviderUnreachable):
        await upload(Kie({"success": False, "code": 200, "data": {"downloadUrl": LINK}}))


async def test_link_that_kie_does_not_know_cannot_be_made_fresh() -> None:
    kie = Kie({"code": 422, "msg": "url is wrong", "data": None})
    with pytest.raises(ProviderRefused) as caught:
        await fresh_link(kie)
    assert caught.value.reason is FailureReason.RESULT_UNAVAILABLE
    assert json.loads(kie.requests[0].content) == {"url": LINK}


async def test_balance_that_is_no_number_is_no_answer() -> None:
    with pytest.raises(ProviderUnreachable):
        await balance(Kie({"code": 200, "data": "much"}))


async def test_error_names_no_key() -> None:
    with pytest.raises(ProviderError) as caught:
        await create(Kie("", status=401))
    assert "the-key" not in f"{caught.value!r} {caught.value}"


async def test_each_account_has_a_key_of_its_own() -> None:
    kie = Kie({"code": 200, "data": 5})
    async with client_of(kie) as client:
        assert client.accounts == ("default", "second")
        for account in client.accounts:
            assert await client.balance(account) == 5
    keys = [request.headers["authorization"] for request in kie.requests]
    assert keys == ["Bearer the-key", "Bearer the-other-key"]


async def test_what_was_made_on_an_account_that_is_gone_asks_nobody() -> None:
    kie = Kie({"code": 200, "data": 5})
    async with client_of(kie) as client:
        with pytest.raises(ProviderRefused):
            await client.fresh_link(LINK, account="third")
    assert kie.requests == []


@pytest.mark.parametrize(
    ("told", "cost"), [(0.8, "0.8"), (61, "61"), (0.0, "0"), ("1.5", "1.5"), ("much", None)]
)
async def test_a_record_says_what_the_task_cost(told: Any, cost: str | None) -> None:
    data = {"taskId": "t1", "state": "fail", "failCode": "500", "creditsConsumed": told}
    observation = await read(Kie({"code": 200, "data": data}))
    assert observation.cost == (Decimal(cost) if cost else None)
