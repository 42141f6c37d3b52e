from typing import Any

from tests.integration.sandbox_kie import SandboxKie, sandbox_kie

TWO = {"one": "key", "two": "another key"}


def as_two(kie: SandboxKie, method: str, path: str, **options: Any) -> Any:
    headers = {"authorization": f"Bearer {TWO['two']}"}
    return kie.http.request(method, path, headers=headers, **options)


async def test_each_account_has_limits_credits_and_tasks_of_its_own() -> None:
    async with sandbox_kie(api_keys=TWO, create_limit=1, read_limit=1, credits=1) as kie:
        task_id = await kie.task(prompt="x")
        order = {"model": "z-image", "input": {"prompt": "x", "aspect_ratio": "1:1"}}
        again = await kie.http.post("/api/v1/jobs/createTask", json=order)
        other = await as_two(kie, "POST", "/api/v1/jobs/createTask", json=order)
        assert (again.json()["code"], other.json()["code"]) == (429, 200)
        read = await as_two(kie, "GET", f"/api/v1/jobs/recordInfo?taskId={task_id}")
        assert read.json()["msg"] == "recordInfo is null"
        shown = {each["name"]: each for each in (await kie.http.get("/sandbox/accounts")).json()}
        assert {name: each["creates"] for name, each in shown.items()} == {"one": 1, "two": 1}
        await kie.http.patch("/sandbox/accounts/one", json={"credits": 7})
        balances = [
            (await ask).json()["data"]
            for ask in (
                kie.http.get("/api/v1/chat/credit"),
                as_two(kie, "GET", "/api/v1/chat/credit"),
            )
        ]
        assert balances == [7, 0.2]


async def test_a_key_that_was_revoked_opens_nothing_until_it_is_given_back() -> None:
    async with sandbox_kie(api_keys=TWO) as kie:
        for is_revoked, codes in ((True, [401, 200]), (False, [200, 200])):
            change = {"is_revoked": is_revoked}
            await kie.http.patch("/sandbox/accounts/one", json=change)
            answers = [
                await kie.http.get("/api/v1/chat/credit"),
                await as_two(kie, "GET", "/api/v1/chat/credit"),
            ]
            assert [answer.json()["code"] for answer in answers] == codes
        unknown = await kie.http.patch("/sandbox/accounts/three", json={"is_revoked": True})
        wrong = await kie.http.patch("/sandbox/accounts/one", json={"is_gone": True})
        assert (unknown.status_code, wrong.status_code) == (404, 422)
