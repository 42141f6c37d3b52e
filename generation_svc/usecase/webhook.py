"""Lists, tests and enables a caller's webhooks."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import RateLimited, WebhookNotFound, WebhookSecretMissing
from generation_svc.domain.identifier import random_id
from generation_svc.domain.port.webhook import WebhookPost
from generation_svc.domain.webhook import WebhookAttempt, WebhookEndpoint
from generation_svc.lifecycle.dependencies import Dependencies

TESTS_PER_WINDOW = 6
TEST_WINDOW = timedelta(minutes=1)
"""How many tests a caller has in which time, over all replicas."""
TEST_TYPE = "webhook.test"


async def page(
    deps: Dependencies, caller: Caller, *, is_disabled: bool | None, after: str, limit: int
) -> Sequence[WebhookEndpoint]:
    """Read the caller's addresses behind `after`, in their order."""
    async with deps.database.transaction() as tx:
        return await tx.webhooks.page(
            caller=caller.name, is_disabled=is_disabled, after=after, limit=limit
        )


async def enable(deps: Dependencies, caller: Caller, *, url: str) -> WebhookEndpoint:
    """Let outcomes be posted to an address again. Raises WebhookNotFound."""
    async with deps.database.transaction() as tx:
        enabled = await tx.webhooks.enable(url, caller=caller.name)
    if enabled is None:
        raise WebhookNotFound(url)
    return enabled


async def probe(deps: Dependencies, caller: Caller, *, url: str) -> WebhookAttempt:
    """Post a test to an address, as outcomes are posted; nothing about it is stored.

    Raises InvalidInputs, WebhookSecretMissing, RateLimited.
    """
    deps.webhooks.sender.check(url, field="url")
    if not caller.webhook_secrets:
        raise WebhookSecretMissing
    await _take_turn(deps, caller)
    answer = await deps.webhooks.sender.post(
        WebhookPost(
            id=random_id(), url=url, body=_body(deps.database.now()), secrets=caller.webhook_secrets
        )
    )
    return WebhookAttempt(deps.database.now(), answer.status, answer.problem)


async def _take_turn(deps: Dependencies, caller: Caller) -> None:
    """Take one of the tests that the caller has, wherever it asks for them."""
    budget = f"webhook tests of {caller.name}"
    async with deps.database.transaction() as tx:
        for _ in range(2):  # the first call of a budget that is new only makes it
            wait = await tx.rate_budget.take(budget, limit=TESTS_PER_WINDOW, window=TEST_WINDOW)
            if not wait:
                return
    raise RateLimited(f"caller {caller.name} (webhook tests)", retry_after=wait)


def _body(time: datetime) -> bytes:
    event = {"type": TEST_TYPE, "timestamp": time.isoformat(), "data": {}}
    return json.dumps(event).encode()
