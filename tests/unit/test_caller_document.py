"""The callers' document: what it says, and the one line for each way in which it can be wrong."""

import pytest

from generation_svc.caller import CallersError, parse_callers
from generation_svc.domain.caller import Scope

HASH = "ab" * 32
OTHER = "cd" * 32
SECRET = "whsec_" + "A" * 32
WHOLE = f"""
[[caller]]
name = "edge"
tokens_sha256 = ["{HASH}", "{OTHER.upper()}"]
scopes = ["own_jobs", "deliveries", "sessions"]
owner_prefixes = ["telegram:"]
bot_ids = [7000000001]
webhook_secrets = ["{SECRET}"]
calls_per_second = 50
jobs_per_minute = 6
"""


def entry(name: str = "edge", *, token: str = HASH, more: str = "") -> str:
    return f'[[caller]]\nname = "{name}"\ntokens_sha256 = ["{token}"]\n{more}\n'


def test_a_caller_is_read_with_all_that_it_may() -> None:
    (grant,) = parse_callers(WHOLE)
    assert grant.token_hashes == {bytes.fromhex(HASH), bytes.fromhex(OTHER)}
    assert (grant.calls_per_second, grant.jobs_per_minute) == (50, 6)
    caller = grant.caller
    assert (caller.name, caller.bot_ids) == ("edge", frozenset({7000000001}))
    assert caller.scopes == {Scope.OWN_JOBS, Scope.DELIVERIES, Scope.SESSIONS}
    assert caller.owner_prefixes == ("telegram:",)
    assert caller.webhook_secrets == (SECRET,)


def test_a_wallet_may_have_a_limit_that_its_callers_share() -> None:
    more = 'wallet = "acme"\nmonthly_credits = 5'
    grants = parse_callers(entry(more=more) + entry("other", token=OTHER, more=more))
    assert [(each.caller.wallet, each.caller.monthly_credits) for each in grants] == [
        ("acme", 5),
        ("acme", 5),
    ]


def test_a_caller_may_have_a_limit_of_what_it_records_in_a_day() -> None:
    grants = parse_callers(entry(more="daily_top_up_credits = 7") + entry("other", token=OTHER))
    assert [each.caller.daily_top_up_credits for each in grants] == [7, None]


def test_a_caller_may_nothing_that_is_not_written() -> None:
    (grant,) = parse_callers(entry())
    assert not grant.caller.scopes | (grant.caller.bot_ids or set())
    assert not grant.caller.owner_prefixes


WRONG = {
    "no TOML": ("[[caller]", "it is not valid TOML"),
    "nobody": ("", "caller: is missing"),
    "no list": ("caller = 7", "caller: Input should be a valid list"),
    "an empty list": ("caller = []", "caller: List should have at least 1 item"),
    "another table": (entry() + "[defaults]\n", "defaults: is not a field; the fields are caller"),
    "no name": (f'[[caller]]\ntokens_sha256 = ["{HASH}"]', "caller 1: name: is missing"),
    "a bad name": (entry("Edge Bot"), "caller 'Edge Bot': name: must be 1 to 64 characters of a-z"),
    "a long name": (entry("e" * 65), "caller 1: name: must be 1 to 64 characters"),
    "a name twice": (entry() + entry(token=OTHER), "caller 'edge': name: is used twice"),
    "a limit without a wallet": (
        entry(more="monthly_credits = 5"),
        "caller 'edge': monthly_credits: needs a wallet",
    ),
    "two limits of a wallet": (
        entry(more='wallet = "acme"\nmonthly_credits = 5')
        + entry("other", token=OTHER, more='wallet = "acme"'),
        "caller 'other': monthly_credits: another caller says otherwise",
    ),
    "a limit of nothing": (
        entry(more='wallet = "acme"\nmonthly_credits = 0'),
        "caller 'edge': monthly_credits: Input should be greater than or equal to 1",
    ),
    "no token": ('[[caller]]\nname = "edge"', "caller 'edge': tokens_sha256: is missing"),
    "an empty list of tokens": (
        '[[caller]]\nname = "edge"\ntokens_sha256 = []',
        "caller 'edge': tokens_sha256: List should have at least 1 item",
    ),
    "a token in clear": (
        entry(token="the-token-itself"),
        "caller 'edge': tokens_sha256: must be 64 hexadecimal digits; "
        "`python -m generation_svc.token` prints them",
    ),
    "spaces between digits": (entry(token="ab " * 32), "must be 64 hexadecimal digits"),
    "a token twice": (
        entry() + entry("gateway"),
        "caller 'edge': tokens_sha256: another caller has the same token",
    ),
    "an unknown scope": (
        entry() + entry("gateway", token=OTHER, more='scopes = ["callback"]'),
        "caller 'gateway': scopes: must be one of own_jobs, all_jobs, callbacks, deliveries, "
        "sessions, money",
    ),
    "an unknown field": (
        entry(more='owner_prefix = "telegram:"'),
        "caller 'edge': owner_prefix: is not a field; the fields are name, tokens_sha256, scopes",
    ),
    "a text where a list belongs": (
        entry(more='owner_prefixes = "telegram:"'),
        "caller 'edge': owner_prefixes: Input should be a valid list",
    ),
    "a bot as text": (entry(more='bot_ids = ["7"]'), "caller 'edge': bot_ids: Input should be"),
    "a bot 0": (entry(more="bot_ids = [0]"), "caller 'edge': bot_ids: Input should be greater"),
    "a short secret": (
        entry(more='webhook_secrets = ["whsec_AAAA"]'),
        "caller 'edge': webhook_secrets: must be whsec_ and 24 to 64 bytes in Base64",
    ),
    "a secret without its prefix": (
        entry(more=f'webhook_secrets = ["{"A" * 32}"]'),
        "caller 'edge': webhook_secrets: must be whsec_",
    ),
    "no calls at all": (entry(more="calls_per_second = 0"), "caller 'edge': calls_per_second:"),
}


@pytest.mark.parametrize(
    ("text", "problem"), [pytest.param(*case, id=name) for name, case in WRONG.items()]
)
def test_what_is_wrong_is_said_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(CallersError) as caught:
        parse_callers(text)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", ["a token in clear", "a short secret"])
def test_what_may_be_a_secret_is_not_repeated(case: str) -> None:
    with pytest.raises(CallersError) as caught:
        parse_callers(WRONG[case][0])
    assert "the-token-itself" not in str(caught.value)
    assert "whsec_AAAA" not in str(caught.value)
