"""How the sandboxes can misbehave, as their own APIs name it (`sandbox/kie/fault.py` and so on)."""

from __future__ import annotations

from collections.abc import Iterable

from tests.chaos.sale import FREE, SALES, SERIES

Rule = dict[str, object]
"""A fault as a sandbox is told of it."""

_MALFORMED = ("truncated", "empty", "array", "binary")
_OFF = ("paused", "unpublished", "disabled")
_BAD = ("empty", "status", "loop", "cut", "html", "half")
CALLED = FREE.model_id
"""The model of the gRPC callers, who wait while it is off; people are offered another one."""


def _each(name: str, variants: Iterable[str], **options: object) -> tuple[Rule, ...]:
    return tuple({"name": name, "variant": variant, **options} for variant in variants)


KIE: tuple[Rule, ...] = (
    {"name": "create_429", "rate": 0.6},
    {"name": "create_429", "rate": 0.6, "status": 429},
    {"name": "create_5xx", "rate": 0.4},
    {"name": "create_5xx", "rate": 0.5, "status": 200},
    {"name": "maintenance", "rate": 0.5},
    {"name": "hang", "rate": 0.3},
    {"name": "create_no_answer", "rate": 0.4},
    {"name": "create_cut", "rate": 0.4},
    {"name": "read_429", "rate": 0.7},
    {"name": "read_5xx", "rate": 0.7},
    {"name": "read_hang", "rate": 0.5, "seconds": 2},
    {"name": "generation_failed", "rate": 0.3},
    {"name": "dead_result_link", "rate": 0.5},
    {"name": "slow_download", "rate": 0.5, "seconds": 2},
    {"name": "task_lost", "rate": 0.1},
    {"name": "unknown_state", "rate": 0.5},
    {"name": "create_unavailable", "rate": 0.5},
    *_each("model_off", _OFF, rate=0.3, match=CALLED),
    {"name": "numeric_id", "rate": 0.5},
    {"name": "long_answer", "rate": 0.3},
    {"name": "packed_answer", "rate": 0.2},
    {"name": "read_packed", "rate": 0.3},
    *_each("bad_result", _BAD, rate=0.5),
    {"name": "bad_result", "rate": 0.5, "variant": "html", "seconds": 2},
    *_each("bad_fresh_link", ("refused", "foreign"), rate=0.5),
    *_each("extra_link", ("dead", "foreign"), rate=0.3),
    *_each("result_place", ("response", "twice"), rate=0.5),
    {"name": "result_place", "rate": 0.2, "variant": "missing"},
)
TELEGRAM: tuple[Rule, ...] = (
    {"kind": "too_many_requests", "rate": 0.5, "retry_after": 1},
    {"kind": "too_many_requests", "rate": 0.3, "retry_after": 2, "method": "sendPhoto"},
    {"kind": "answer_lost", "rate": 0.4, "method": "sendPhoto"},
    {"kind": "answer_lost", "rate": 0.3},
    {"kind": "timeout", "rate": 0.3, "seconds": 1},
    {"kind": "server_error", "rate": 0.5},
    {"kind": "answer_lost", "rate": 0.7, "method": "refundStarPayment"},
    {"kind": "server_error", "rate": 0.7, "method": "getStarTransactions"},
    {"kind": "answer_lost", "rate": 0.5, "method": "answerPreCheckoutQuery"},
)
ALWAYS: tuple[Rule, ...] = (
    {"name": "extra_link", "rate": 0.4, "variant": "dead", "match": SERIES},
    *(
        {"name": "cost_less", "rate": 0.7, "match": each.model_id}
        for each in SALES
        if each.is_ceiling
    ),
    {"name": "cost_late", "rate": 0.5, "seconds": 2},
    {"name": "no_callback", "rate": 0.3},
    {"name": "callback_twice", "rate": 0.3},
    {"name": "callback_before_answer", "rate": 0.1},
    {"name": "callback_late", "rate": 0.1, "seconds": 3},
    *({"name": "callback_malformed", "rate": 0.02, "variant": each} for each in _MALFORMED),
    {"name": "callback_forged", "rate": 0.05},
)
"""What KIE is like from the first job to the last."""
