"""Looking for secrets where none may be: in all logs and in all that KIE received."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.e2e.caller import TOKENS, WEBHOOK_SECRET
from tests.e2e.stack import BOT_TOKEN, KIE_KEY, Stack

FILE_LINK = "/file/bot"
"""A link to a file at Telegram, which holds the bot's token."""


async def leaks_of(stack: Stack) -> list[str]:
    """Return what holds a secret, each with the line that does."""
    requests = await stack.kie.requests()
    tokens = callback_tokens(requests)
    received = [("KIE received", text) for text in map(without_their_places, requests)]
    logged = [(each.name, line) for each in stack.programs for line in each.log.splitlines()]
    stored = [("stored callbacks", each) for each in await _stored_callbacks(stack)]
    in_stored = _found(stored, dict.fromkeys(tokens, "callback token"))
    return [*_found([*received, *logged], secrets_of(tokens)), *in_stored]


def secrets_of(tokens: set[str]) -> dict[str, str]:
    """Return every secret with its name."""
    secret_part = BOT_TOKEN.partition(":")[2]
    known = {secret_part: "bot token", KIE_KEY: "KIE key", FILE_LINK: "Telegram file link"}
    callers = {token: f"token of the {part}" for part, token in TOKENS.items()}
    known[WEBHOOK_SECRET.removeprefix("whsec_")] = "webhook key"
    return known | callers | dict.fromkeys(tokens, "callback token")


def callback_tokens(requests: list[dict[str, Any]]) -> set[str]:
    """Return the tokens that KIE was given in callBackUrl."""
    urls = (_body(each).get("callBackUrl") for each in requests)
    return {url.rpartition("/")[2] for url in urls if url}


def without_their_places(request: dict[str, Any]) -> str:
    """Return a request as text, without the two places where a secret belongs."""
    headers = {name: value for name, value in request["headers"].items() if name != "authorization"}
    body = _body(request)
    shown = body | {"callBackUrl": ""} if body else request["body"]
    return json.dumps({**request, "headers": headers, "body": shown})


def _body(request: dict[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(request["body"])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _stored_callbacks(stack: Stack) -> list[str]:
    rows = await stack.history.rows("SELECT body, headers FROM callback_receipt")
    return [f"{row['body'].decode('utf-8', 'replace')} {row['headers']}" for row in rows]


def _found(places: list[tuple[str, str]], secrets: dict[str, str]) -> Iterator[str]:
    for place, text in places:
        for secret, name in secrets.items():
            if secret in text:
                yield f"{name} in {place}: {text[:400]}"
