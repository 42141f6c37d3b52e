"""The sandbox KIE from outside: what it received, what it is told to do wrong."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.program import client

Json = dict[str, Any]


class SandboxKie:
    """The stand-in's own HTTP API."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"

    async def fault(self, name: str, **options: Any) -> None:
        """Arm a fault; `match` is a part of the model and prompt."""
        await self._send("POST", "/sandbox/faults", {"name": name, **options})

    async def heal(self, name: str) -> None:
        """Disarm a kind of fault."""
        await self._send("DELETE", f"/sandbox/faults/{name}")

    async def configure(self, **settings: Any) -> None:
        """Change settings while it runs."""
        await self._send("PATCH", "/sandbox/settings", settings)

    async def plant(self, prompt: str, data: bytes) -> None:
        """Have every model give these bytes for a prompt, whatever they are."""
        async with client(self.url) as http:
            answer = await http.put("/sandbox/results", params={"prompt": prompt}, content=data)
        assert answer.status_code == 200, answer.text

    async def accounts(self) -> dict[str, Json]:
        """Return the accounts by name."""
        return {each["name"]: each for each in await self._send("GET", "/sandbox/accounts")}

    async def change_account(self, name: str, **changes: Any) -> None:
        """Revoke the key of an account, give it back, or fill the account."""
        await self._send("PATCH", f"/sandbox/accounts/{name}", changes)

    async def counters(self) -> Json:
        found: Json = await self._send("GET", "/sandbox/counters")
        return found

    async def requests(self) -> list[Json]:
        found: list[Json] = await self._send("GET", "/sandbox/requests")
        return found

    async def callbacks(self) -> list[Json]:
        found: list[Json] = await self._send("GET", "/sandbox/callbacks")
        return found

    async def tasks(self, prompt: str = "") -> list[Json]:
        """Return the tasks whose prompt is this one; all tasks for none."""
        found: list[Json] = await self._send("GET", "/sandbox/tasks")
        return [each for each in found if not prompt or _prompt(each) == prompt]

    async def creations(self, prompt: str = "") -> list[Json]:
        """Return the bodies of createTask that came, whatever was answered."""
        bodies = [
            json.loads(each["body"])
            for each in await self.requests()
            if each["path"] == "/api/v1/jobs/createTask"
        ]
        return [each for each in bodies if not prompt or each["input"]["prompt"] == prompt]

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        async with client(self.url) as http:
            response = await http.request(method, path, json=body)
        assert response.status_code == 200, response.text
        return response.json()


def _prompt(task: Json) -> str:
    fields = json.loads(json.loads(task["param"])["input"])
    return str(fields.get("prompt", ""))
