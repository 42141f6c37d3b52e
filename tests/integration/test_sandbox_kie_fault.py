"""The faults of the sandbox KIE, each seen from outside."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from sandbox.fault import Fault, FaultBook, UnknownFaultError
from sandbox.kie.fault import KieFault
from tests.e2e.program import until
from tests.integration.sandbox_kie import (
    Json,
    Receiver,
    SandboxKie,
    callback_receiver,
    eventually,
    sandbox_kie,
)

CREATE = "/api/v1/jobs/createTask"
ORDER = {"model": "z-image", "input": {"prompt": "fox"}}


@pytest_asyncio.fixture(scope="module")
async def stand() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie() as running:
        yield running


@pytest_asyncio.fixture
async def kie(stand: SandboxKie) -> SandboxKie:
    await stand.http.post("/sandbox/reset")
    return stand


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with callback_receiver() as running:
        yield running


async def callbacks(kie: SandboxKie, count: int) -> list[Json]:
    """Return the callbacks that were sent, once there are so many."""
    deadline = asyncio.get_running_loop().time() + 10
    while len(sent := (await kie.http.get("/sandbox/callbacks")).json()) < count:
        assert asyncio.get_running_loop().time() < deadline, sent
        await asyncio.sleep(0.01)
    return list(sent)


REFUSALS: list[tuple[Json, int, int | None]] = [
    ({"name": "create_429"}, 200, 429),
    ({"name": "create_429", "status": 429}, 429, 429),
    ({"name": "create_5xx"}, 500, None),
    ({"name": "create_5xx", "status": 502}, 502, None),
    ({"name": "create_5xx", "status": 200}, 200, 500),
    ({"name": "maintenance"}, 200, 455),
    ({"name": "unauthorized"}, 200, 401),
    ({"name": "no_credits"}, 200, 402),
    ({"name": "no_credits", "code": 500}, 200, 500),
    ({"name": "create_refused"}, 200, 505),
    ({"name": "create_refused", "code": 433, "message": "sub-key"}, 200, 433),
    ({"name": "create_unavailable"}, 503, 503),
    ({"name": "model_off"}, 200, 500),
    ({"name": "model_off", "variant": "unpublished"}, 200, 422),
    ({"name": "model_off", "variant": "disabled"}, 200, 505),
]


@pytest.mark.parametrize(("fault", "status", "code"), REFUSALS)
async def test_a_refusing_fault_creates_nothing(
    kie: SandboxKie, fault: Json, status: int, code: int | None
) -> None:
    await kie.arm(**fault, remaining=1)
    response = await kie.http.post(CREATE, json=ORDER)
    assert response.status_code == status
    if code is not None:
        assert response.json()["code"] == code
    assert (await kie.counters())["creates"] == 0
    assert (await kie.http.post(CREATE, json=ORDER)).json()["code"] == 200


@pytest.mark.parametrize(("name", "creates"), [("hang", 0), ("create_no_answer", 1)])
async def test_a_creation_that_is_never_answered(
    kie: SandboxKie, receiver: Receiver, name: str, creates: int
) -> None:
    await kie.arm(name)
    order = ORDER | {"callBackUrl": receiver.url}
    with pytest.raises(httpx2.ReadTimeout):
        await kie.http.post(CREATE, json=order, timeout=httpx2.Timeout(10, read=0.2))

    async def is_taken() -> bool:
        return bool((await kie.counters())["creates"] == creates)

    await until(is_taken, within_s=10, what="the creation without an answer")
    await eventually(lambda: len(receiver.got) == creates)


@pytest.mark.parametrize(
    ("fault", "creates"),
    [
        ({"name": "create_cut"}, 1),
        ({"name": "create_no_answer", "seconds": 0.01}, 1),
        ({"name": "hang", "seconds": 0.01}, 0),
    ],
)
async def test_a_creation_whose_connection_is_cut(
    kie: SandboxKie, fault: Json, creates: int
) -> None:
    await kie.arm(**fault)
    with pytest.raises(httpx2.RemoteProtocolError):
        await kie.http.post(CREATE, json=ORDER)
    assert (await kie.counters())["creates"] == creates


async def test_a_callback_comes_before_the_answer(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("callback_before_answer")
    task_id = await kie.task(prompt="fox", to=receiver)
    assert [each.body["data"]["taskId"] for each in receiver.got] == [task_id]


async def test_no_callback_comes_and_the_task_succeeds(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("no_callback", match="fox")
    silent = await kie.task(prompt="a fox", to=receiver)
    assert (await kie.ended(silent))["state"] == "success"
    told = await kie.task(prompt="an owl", to=receiver)
    await receiver.first()
    assert [each.body["data"]["taskId"] for each in receiver.got] == [told]


async def test_callbacks_can_be_switched_off_for_all(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.change(callbacks=False)
    assert (await kie.ended(await kie.task(prompt="x", to=receiver)))["state"] == "success"
    assert (await kie.counters())["callbacks"] == 0


async def test_a_callback_comes_twice(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("callback_twice")
    await kie.task(prompt="fox", to=receiver)
    first, second = await receiver.first(2)
    assert (first.path, first.raw) == (second.path, second.raw)


async def test_a_callback_comes_late(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("callback_late", seconds=0.2)
    record = await kie.ended(await kie.task(prompt="fox", to=receiver))
    assert (record["state"], receiver.got) == ("success", [])
    await receiver.first()


async def test_a_forged_callback_comes_first(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.change(hmac_key="secret")
    await kie.arm("callback_forged")
    task_id = await kie.task(prompt="fox", to=receiver)
    forged, true = await receiver.first(2)
    assert (forged.path, true.path) == ("/callbacks/kie/forged", "/callbacks/kie/token")
    assert forged.body["data"]["taskId"] == true.body["data"]["taskId"] == task_id
    assert "forged.example" in forged.body["data"]["resultJson"]
    assert "forged.example" not in true.body["data"]["resultJson"]
    signatures = ["x-webhook-signature" in each.headers for each in (forged, true)]
    assert signatures == [False, True]


async def test_a_forged_callback_may_say_that_the_task_failed(
    kie: SandboxKie, receiver: Receiver
) -> None:
    await kie.arm("callback_forged", variant="fail")
    await kie.task(prompt="fox", to=receiver)
    forged, true = await receiver.first(2)
    assert [each.body["code"] for each in (forged, true)] == [501, 200]


@pytest.mark.parametrize("variant", ["truncated", "empty", "binary"])
async def test_a_malformed_callback_is_no_json(
    kie: SandboxKie, receiver: Receiver, variant: str
) -> None:
    await kie.arm("callback_malformed", variant=variant)
    await kie.task(prompt="fox", to=receiver)
    (got,) = await receiver.first()
    with pytest.raises((UnicodeDecodeError, json.JSONDecodeError)):
        json.loads(got.raw)


@pytest.mark.parametrize(
    ("variant", "link"), [("runway", "video_url"), ("suno", "audio_url"), (None, "video_url")]
)
async def test_a_callback_in_the_shape_of_another_family(
    kie: SandboxKie, receiver: Receiver, variant: str | None, link: str
) -> None:
    await kie.arm("callback_wrong_family", variant=variant)
    task_id = await kie.task(prompt="fox", to=receiver)
    (got,) = await receiver.first()
    assert got.body["data"]["task_id"] == task_id
    assert f'"{link}":"{kie.url}/' in got.raw.decode()


async def test_a_callback_without_200_is_sent_again(kie: SandboxKie, receiver: Receiver) -> None:
    receiver.statuses = [500, 404]
    await kie.task(prompt="fox", to=receiver)
    await callbacks(kie, 3)
    assert (await kie.counters())["callback_statuses"] == {"500": 1, "404": 1, "200": 1}


async def test_a_callback_is_given_up_after_three_retries(kie: SandboxKie) -> None:
    await kie.change(callback_timeout_s=0.05)
    await kie.task(prompt="fox", to=Receiver("http://127.0.0.1:1"))
    assert [each["status"] for each in await callbacks(kie, 4)] == [None] * 4


async def test_a_task_waits_for_ever(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("waiting_forever", match="fox")
    task_id = await kie.task(prompt="fox", to=receiver)
    await kie.ended(await kie.task(prompt="owl", to=receiver))
    await receiver.first()
    assert (await kie.read(task_id))["data"]["state"] == "waiting"
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"name": "task_lost"}, 422),
        ({"name": "task_dead"}, 501),
        ({"name": "task_dead", "code": 408}, 408),
    ],
)
async def test_a_task_that_only_the_envelope_tells_of(
    kie: SandboxKie, fault: Json, code: int
) -> None:
    await kie.arm(**fault)
    body = await kie.read(await kie.task(prompt="fox"))
    assert (body["code"], body["data"]) == (code, None)


async def test_a_state_that_nobody_knows(kie: SandboxKie) -> None:
    await kie.change(duration_s=60)
    await kie.arm("unknown_state", variant="archived")
    assert (await kie.read(await kie.task(prompt="fox")))["data"]["state"] == "archived"


async def test_a_generation_fails_with_the_given_words(kie: SandboxKie) -> None:
    await kie.arm("generation_failed", code=422, message="CONTENT_POLICY_BLOCKED")
    record = await kie.ended(await kie.task(prompt="fox"))
    assert (record["failCode"], record["failMsg"]) == ("422", "CONTENT_POLICY_BLOCKED")


async def test_a_dead_link_is_healed_by_download_url(kie: SandboxKie) -> None:
    await kie.arm("dead_result_link")
    (link,) = await kie.results(await kie.task(prompt="fox"))
    assert (await kie.http.get(link)).status_code == 404
    fresh = (await kie.http.post("/api/v1/common/download-url", json={"url": link})).json()["data"]
    assert (await kie.picture(fresh)).size == (1024, 1024)


async def test_a_cost_is_told_only_afterwards(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("cost_late", seconds=0.4)
    task_id = await kie.task(prompt="fox", to=receiver)
    (told,) = await receiver.first()
    assert "creditsConsumed" not in told.body["data"]
    record = await kie.ended(task_id)
    assert record["creditsConsumed"] is None
    deadline = asyncio.get_running_loop().time() + 10
    while record["creditsConsumed"] is None:
        assert asyncio.get_running_loop().time() < deadline
        record = (await kie.read(task_id))["data"]
        await asyncio.sleep(0.11)  # recordInfo has a limit of ten a second
    assert record["creditsConsumed"] > 0


async def test_a_success_consumes_less_than_its_price(kie: SandboxKie) -> None:
    usual = await kie.ended(await kie.task("google/imagen4", prompt="fox"))
    await kie.arm("cost_less")
    less = await kie.ended(await kie.task("google/imagen4", prompt="fox"))
    assert less["creditsConsumed"] == usual["creditsConsumed"] / 2 > 0


async def test_links_expire(kie: SandboxKie) -> None:
    await kie.change(result_ttl_s=1e-9)
    (link,) = await kie.results(await kie.task(prompt="fox"))
    assert (await kie.http.get(link)).status_code == 404


async def test_a_slow_download_comes_whole(kie: SandboxKie) -> None:
    await kie.arm("slow_download", seconds=0.2)
    (link,) = await kie.results(await kie.task(prompt="fox"))
    response = await kie.http.get(link)
    assert response.elapsed.total_seconds() >= 0.2
    assert len(response.content) == int(response.headers["content-length"])


async def get(kie: SandboxKie, link: str) -> str:
    """Say what is behind a link."""
    try:
        response = await kie.http.get(link)
    except httpx2.RemoteProtocolError:
        return "cut"
    if response.status_code != 200:
        return "itself" if response.headers.get("location") == link else str(response.status_code)
    return f"{response.headers['content-type']} {'some' if response.content else 'nothing'}"


@pytest.mark.parametrize(
    ("variant", "given"),
    [
        ("empty", "image/png nothing"),
        ("status", "500"),
        ("loop", "itself"),
        ("cut", "cut"),
        ("html", "text/html; charset=utf-8 some"),
        ("half", "image/png some"),
    ],
)
async def test_a_bad_result_is_healed_by_download_url(
    kie: SandboxKie, variant: str, given: str
) -> None:
    await kie.arm("bad_result", variant=variant)
    (link,) = await kie.results(await kie.task(prompt="fox"))
    assert await get(kie, link) == given
    fresh = (await kie.http.post("/api/v1/common/download-url", json={"url": link})).json()["data"]
    assert (await kie.picture(fresh)).size == (1024, 1024)


async def test_a_bad_result_is_good_after_its_seconds(kie: SandboxKie) -> None:
    await kie.arm("bad_result", variant="html", seconds=0.1)
    (link,) = await kie.results(await kie.task(prompt="fox"))

    deadline = asyncio.get_running_loop().time() + 10
    while await get(kie, link) != "image/png some":
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(("variant", "code"), [("refused", 422), ("foreign", 200)])
async def test_download_url_is_no_help(kie: SandboxKie, variant: str, code: int) -> None:
    await kie.arm("bad_fresh_link", variant=variant)
    (link,) = await kie.results(await kie.task(prompt="fox"))
    body = (await kie.http.post("/api/v1/common/download-url", json={"url": link})).json()
    assert body["code"] == code
    assert body["data"] in (None, "http://elsewhere.example/picture.png")


@pytest.mark.parametrize(("variant", "host"), [("dead", "127.0.0.1"), ("foreign", "elsewhere")])
async def test_a_success_names_one_link_more(kie: SandboxKie, variant: str, host: str) -> None:
    await kie.arm("extra_link", variant=variant)
    good, extra = await kie.results(await kie.task(prompt="fox"))
    assert await get(kie, good) == "image/png some"
    assert host in extra
    if variant == "dead":
        assert await get(kie, extra) == "404"


@pytest.mark.parametrize("variant", ["response", "twice", "missing"])
async def test_a_result_stands_in_another_place(
    kie: SandboxKie, receiver: Receiver, variant: str
) -> None:
    await kie.arm("result_place", variant=variant)
    record = await kie.ended(await kie.task(prompt="fox", to=receiver))
    (told,) = await receiver.first()
    for data in (record, told.body["data"]):
        text = data["resultJson"]
        once = json.loads(text) if text else None
        expected = {"response": None, "missing": None, "twice": str}[variant]
        assert isinstance(once, expected) if expected else once is None
        assert bool(data.get("response")) == (variant == "response")


async def test_a_task_id_is_a_number(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("numeric_id")
    answer = await kie.create(prompt="fox")
    task_id = answer["data"]["taskId"]
    assert isinstance(task_id, int)
    assert (await kie.ended(str(task_id)))["taskId"] == task_id


async def test_an_answer_is_long(kie: SandboxKie) -> None:
    await kie.arm("long_answer")
    response = await kie.http.post(CREATE, json=ORDER)
    assert len(response.content) > 2**21
    assert len(response.json()["data"]["taskId"]) == 32


@pytest.mark.parametrize("name", ["packed_answer", "read_packed"])
async def test_an_answer_unpacks_to_a_thousand_times_its_size(kie: SandboxKie, name: str) -> None:
    await kie.arm(name)
    asked = (
        kie.http.stream("POST", CREATE, json=ORDER)
        if name == "packed_answer"
        else kie.http.stream("GET", "/api/v1/jobs/recordInfo", params={"taskId": "t"})
    )
    async with asked as response:
        assert response.headers["content-encoding"] == "gzip"
        assert int(response.headers["content-length"]) < 500_000


READS: list[tuple[Json, int, int | None]] = [
    ({"name": "read_429"}, 200, 429),
    ({"name": "read_429", "status": 429}, 429, 429),
    ({"name": "read_5xx"}, 500, None),
    ({"name": "read_5xx", "status": 200}, 200, 500),
]


@pytest.mark.parametrize(("fault", "status", "code"), READS)
async def test_a_refused_read_leaves_the_task_alone(
    kie: SandboxKie, fault: Json, status: int, code: int | None
) -> None:
    task_id = await kie.task(prompt="fox")
    await kie.arm(**fault, remaining=1)
    response = await kie.http.get("/api/v1/jobs/recordInfo", params={"taskId": task_id})
    assert response.status_code == status
    if code is not None:
        assert response.json()["code"] == code
    assert (await kie.ended(task_id))["state"] == "success"


async def test_a_read_that_is_never_answered(kie: SandboxKie) -> None:
    task_id = await kie.task(prompt="fox")
    await kie.arm("read_hang")
    with pytest.raises(httpx2.ReadTimeout):
        await kie.http.get("/api/v1/jobs/recordInfo", params={"taskId": task_id}, timeout=0.1)


async def test_everything_is_down_until_it_is_not(kie: SandboxKie) -> None:
    await kie.arm("down")
    paths = [("POST", CREATE), ("GET", "/api/v1/chat/credit"), ("GET", "/s/any.png")]
    statuses = [(await kie.http.request(*each)).status_code for each in paths]
    assert statuses == [503, 503, 503]
    await kie.http.delete("/sandbox/faults/down")
    assert (await kie.create(prompt="fox"))["code"] == 200


async def test_faults_are_replaced_shown_and_cleared(kie: SandboxKie) -> None:
    async def shown() -> list[Any]:
        return [each["name"] for each in (await kie.http.get("/sandbox/faults")).json()]

    await kie.arm("hang")
    await kie.http.put("/sandbox/faults", json=[{"name": "down"}, {"name": "no_callback"}])
    assert await shown() == ["down", "no_callback"]
    await kie.http.delete("/sandbox/faults")
    assert await shown() == []


def test_a_rate_hits_its_share_and_repeats_with_the_seed() -> None:
    def draws() -> list[bool]:
        book = FaultBook(KieFault, seed=7)
        book.add(Fault(name="no_callback", rate=0.25))
        return [book.take("no_callback") is not None for _ in range(1000)]

    assert draws() == draws()
    assert 200 < sum(draws()) < 300


def test_a_fault_ends_after_its_count_and_hits_only_its_match() -> None:
    book = FaultBook(KieFault)
    book.add(Fault(name="no_callback", match="fox", remaining=2))
    subjects = ["an owl", "a fox", "a fox", "a fox"]
    assert [bool(book.take("no_callback", each)) for each in subjects] == [False, True, True, False]
    with pytest.raises(UnknownFaultError):
        book.add(Fault(name="gremlin"))
