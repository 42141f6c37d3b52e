"""The requests that reached the provider, compared with those that the documents ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from generation_svc.domain.media_input import ReferencePart, given_in, parse_reference
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject
from tests.e2e.every_model.expected import difference, documents, expected, replaced
from tests.e2e.every_model.sample import Samples
from tests.e2e.program import client, until
from tests.e2e.stack import KIE_KEY, Stack

Json = dict[str, Any]
_TASK_S = 5.0
_TASKS = """
SELECT task_id FROM attempt WHERE job_id = %(id)s AND task_id IS NOT NULL
UNION
SELECT detail->>'task_id' FROM job_event WHERE job_id = %(id)s AND kind = 'answered'
"""
"""The tasks of a job; one that failed before createTask answered stands in an event alone."""


class Requests:
    """Reads what became of jobs at the provider's stand-in, by its public API."""

    def __init__(self, stack: Stack, samples: Samples) -> None:
        self._stack, self._samples = stack, samples
        self._http = client(stack.kie.url)
        self._digests: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def flaw(self, job_id: str, model: Model, *, inputs: JsonObject) -> str:
        """Say how the request that a job became differs from what the document asks for."""
        sent, document = await self._sent(await self._task_of(job_id)), documents()[model.id]
        texts, digests = await self._real(model, inputs), await self._digests_in(sent["input"])
        wanted = replaced(expected(document, inputs), lambda text: texts.get(text, text))
        seen = replaced(sent["input"], lambda text: digests.get(text, text))
        name = document["offers"][0]["model"]
        is_named = sent["model"] == name
        return difference(seen, wanted) if is_named else f"{sent['model']} was asked, not {name}"

    async def _task_of(self, job_id: str) -> str:
        """Wait for the one task of a job: its end may be told before createTask has answered."""

        async def tasks() -> list[str]:
            rows = await self._stack.history.rows(_TASKS, id=job_id)
            return [str(row["task_id"]) for row in rows]

        found = await until(tasks, within_s=_TASK_S, what="the task of a job")
        assert len(found) == 1, f"{len(found)} tasks were made of it"
        return found[0]

    async def _sent(self, task_id: str) -> Json:
        """Return the model and `input` of the createTask that became a task."""
        headers = {"authorization": f"Bearer {KIE_KEY}", "user-agent": "atelier-test"}
        path, query = "/api/v1/jobs/recordInfo", {"taskId": task_id}
        answer = (await self._http.get(path, params=query, headers=headers)).json()
        assert answer["code"] == 200, answer
        param = json.loads(answer["data"]["param"])
        return {"model": param["model"], "input": json.loads(param["input"])}

    async def _real(self, model: Model, inputs: JsonObject) -> dict[str, str]:
        """Return what the given texts of uploads and references stand for."""
        real = {f"upload:{id_}": digest for id_, digest in self._samples.sha256_by_id.items()}
        for one in model.reference_inputs:
            for given in given_in(inputs, one):
                real[given.text] = await self._provider_id(given.text, one.part)
        return real

    async def _provider_id(self, text: str, part: ReferencePart) -> str:
        """Return what the stand-in calls the task or the thing that a reference means."""
        reference = parse_reference(text)
        assert reference is not None, text
        if text not in self._ids:
            query = "SELECT task_id, item_ids FROM attempt WHERE job_id = %(id)s"
            (row,) = await self._stack.history.rows(query, id=reference.job_id)
            is_task = part is ReferencePart.TASK
            self._ids[text] = row["task_id"] if is_task else row["item_ids"][reference.number - 1]
        return self._ids[text]

    async def _digests_in(self, sent: Any) -> dict[str, str]:
        """Return the digests of the files that a request names."""
        links = [*_links_in(sent, self._stack.kie.url)]
        for link in links:
            if link not in self._digests:
                content = (await self._http.get(link)).content
                self._digests[link] = hashlib.sha256(content).hexdigest()
        return {link: self._digests[link] for link in links}


def _links_in(value: Any, url: str) -> Iterator[str]:
    """Yield every text in a request that is a link to the stand-in."""
    if isinstance(value, str) and value.startswith(f"{url}/"):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _links_in(each, url)
