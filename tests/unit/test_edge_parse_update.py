"""Updates of odd shapes: what Telegram does not send stops nothing and reaches no handler."""

from __future__ import annotations

import json
from typing import Any

import pytest
from telegram import Update

from edge_bot.conversation.event import read_event
from edge_bot.telegram.parse_update import PollRequest, parse_update

PERSON = {"id": 5, "is_bot": False, "first_name": "A"}
CHAT = {"id": 5, "type": "private"}
MESSAGE = {"message_id": 1, "date": 1, "chat": CHAT, "from": PERSON, "text": "a fox"}
PRESS = {"id": "1", "from": PERSON, "chat_instance": "1", "data": "s", "message": MESSAGE}

ORDER = {"currency": "XTR", "total_amount": 50, "invoice_payload": "topup:1:small:5"}
ODD_ORDERS = [ORDER | {name: ["x"]} for name in ORDER] + [ORDER | {"total_amount": "50"}]


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1, "message": 7},
        {"update_id": 1, "message": {"text": "x"}},
        {"update_id": 1, "message": {**MESSAGE, "date": 10**20}},
        {"update_id": 1, "message": {**MESSAGE, "from": {**PERSON, "id": [5]}}},
        {"update_id": 1, "callback_query": {**PRESS, "from": {**PERSON, "language_code": ["ru"]}}},
        {"update_id": "1", "message": MESSAGE},
        {"message": MESSAGE},
        [],
        None,
    ],
    ids=repr,
)
def test_what_cannot_be_read_is_no_update(update: Any) -> None:
    assert parse_update(update, None) is None


@pytest.mark.parametrize("order", ODD_ORDERS, ids=repr)
def test_a_payment_that_cannot_be_read_is_no_update(order: dict[str, Any]) -> None:
    asked, paid = (kinds(each) for each in (ORDER, order))
    assert [parse_update(each, None) for each in paid] == [None, None]
    assert all(parse_update(each, None) for each in asked)


def kinds(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an order as Telegram asks about it, and as it says that it was paid."""
    charge = {"telegram_payment_charge_id": "1", "provider_payment_charge_id": "1"}
    return [
        {"update_id": 1, "pre_checkout_query": {"id": "1", "from": PERSON, **order}},
        {"update_id": 1, "message": {**MESSAGE, "successful_payment": order | charge}},
    ]


def test_an_odd_update_leaves_its_number_alone_and_the_others_whole() -> None:
    updates = [
        {"update_id": 1, "message": MESSAGE},
        {"update_id": 2, "message": {"text": "x"}},
        {"update_id": 3, "callback_query": PRESS},
    ]
    payload = json.dumps({"ok": True, "result": updates}).encode()
    result = PollRequest.parse_json_payload(payload)["result"]
    assert result == [updates[0], {"update_id": 2}, updates[2]]


@pytest.mark.parametrize(
    "kinds",
    [
        {"message": {**MESSAGE, "text": 7}},
        {"message": {**MESSAGE, "text": ["x"]}},
        {"message": {**MESSAGE, "chat": {"id": "5", "type": "private"}}},
        {"message": {**MESSAGE, "from": {**PERSON, "language_code": 7}}},
        {"message": {**MESSAGE, "text": None, "photo": [{**CHAT, "file_id": 7}]}},
        {"callback_query": {**PRESS, "data": 7}},
        {"callback_query": {**PRESS, "message": {**MESSAGE, "message_id": 2**64}}},
        {"callback_query": {**PRESS, "id": 7}},
    ],
    ids=repr,
)
def test_a_field_of_another_kind_makes_no_event(kinds: dict[str, Any]) -> None:
    update = parse_update({"update_id": 1, **kinds}, None)
    assert update is None or read_event(update) is None


@pytest.mark.parametrize("kinds", [{"message": MESSAGE}, {"callback_query": PRESS}])
def test_what_is_as_it_should_be_is_an_event(kinds: dict[str, Any]) -> None:
    update = Update.de_json({"update_id": 1, **kinds}, None)
    event = read_event(update)
    assert event is not None
    assert event.chat_id == 5
