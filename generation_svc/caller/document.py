"""Parses the callers' document: strict TOML, with one line for the first error.

    [[caller]]
    name = "edge"
    tokens_sha256 = ["<64 hexadecimal digits>"]     # several while a token is being replaced
    scopes = ["own_jobs", "deliveries", "sessions"]
    owner_prefixes = ["telegram:"]
    bot_ids = [7000000001]
    webhook_secrets = ["whsec_…"]                   # newest first
    calls_per_second = 500
    jobs_per_minute = 60                            # of one owner
    wallet = "acme"                                 # whose wallet pays for all of its jobs
    monthly_credits = 1000                          # what that may owe more in a month (UTC)
    daily_top_up_credits = 500_000                  # what it may record in a day (UTC)

What is wrong is never repeated: it may be a token that was put where its hash belongs.
"""

import base64
import binascii
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.limit import MAX_ID_LENGTH

SECRET_PREFIX = "whsec_"
"""What every secret of Standard Webhooks begins with."""
SECRET_BYTES = range(24, 65)
"""How many bytes a secret of Standard Webhooks has."""

MOST_MONTHLY_CREDITS = 1_000_000_000
"""The greatest limit of a month."""
MOST_DAILY_CREDITS = 1_000_000_000
"""The greatest limit of a day."""


class CallersError(ValueError):
    """The callers' document cannot be used; the text is the one line that says why."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One caller, what proves it, and how much it may ask."""

    caller: Caller
    token_hashes: frozenset[bytes] = field(repr=False)
    calls_per_second: float | None = None
    """How often it may call; None leaves that to the settings."""
    jobs_per_minute: float | None = None
    """How many jobs and uploads each of its owners may make; None leaves that to the settings."""


def _scope(value: object) -> object:
    try:
        return Scope(str(value))
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Scope)}") from None


def _hash(value: str) -> str:
    try:
        if len(bytes.fromhex(value)) == 32 and len(value) == 64:
            return value
    except ValueError:
        pass
    raise ValueError("must be 64 hexadecimal digits; `python -m generation_svc.token` prints them")


def _secret(value: str) -> str:
    try:
        size = len(base64.b64decode(value.removeprefix(SECRET_PREFIX), validate=True))
    except binascii.Error:
        size = 0
    if not value.startswith(SECRET_PREFIX) or size not in SECRET_BYTES:
        raise ValueError(f"must be {SECRET_PREFIX} and 24 to 64 bytes in Base64")
    return value


# Most processes have no callers' document: what reads one is built when there is one.
_STRICT = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _Caller(BaseModel):
    model_config = _STRICT

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,64}$")]
    tokens_sha256: Annotated[list[Annotated[str, AfterValidator(_hash)]], Field(min_length=1)]
    scopes: list[Annotated[Scope, BeforeValidator(_scope)]] = []
    owner_prefixes: list[Annotated[str, StringConstraints(max_length=MAX_ID_LENGTH)]] = []
    bot_ids: list[Annotated[int, Field(ge=1, le=2**62)]] = []
    webhook_secrets: list[Annotated[str, AfterValidator(_secret)]] = []
    wallet: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)] | None = None
    monthly_credits: Annotated[int, Field(ge=1, le=MOST_MONTHLY_CREDITS)] | None = None
    daily_top_up_credits: Annotated[int, Field(ge=1, le=MOST_DAILY_CREDITS)] | None = None
    calls_per_second: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    jobs_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    def grant(self) -> Grant:
        caller = Caller(
            name=self.name,
            scopes=frozenset(self.scopes),
            owner_prefixes=tuple(self.owner_prefixes),
            bot_ids=frozenset(self.bot_ids),
            webhook_secrets=tuple(self.webhook_secrets),
            wallet=self.wallet,
            monthly_credits=self.monthly_credits or 0,
            daily_top_up_credits=self.daily_top_up_credits,
        )
        return Grant(
            caller=caller,
            token_hashes=frozenset(map(bytes.fromhex, self.tokens_sha256)),
            calls_per_second=self.calls_per_second,
            jobs_per_minute=self.jobs_per_minute,
        )


class _Document(BaseModel):
    model_config = _STRICT

    caller: Annotated[list[_Caller], Field(min_length=1)]


def parse_callers(text: str) -> tuple[Grant, ...]:
    """Read a callers' document. Raises CallersError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # From None, here and below: the cause would quote the document, tokens included.
        raise CallersError(f"it is not valid TOML: {error}") from None
    try:
        grants = tuple(each.grant() for each in _Document.model_validate(document).caller)
    except ValidationError as error:
        raise CallersError(_explained(error.errors()[0], document)) from None
    _check_unique(grants)
    _check_limits(grants)
    return grants


def _check_limits(grants: tuple[Grant, ...]) -> None:
    """Hold a limit to the wallet that it is of: there is one, and it has no other."""
    limits: dict[str, int] = {}
    for caller in (grant.caller for grant in grants):
        where = f"caller '{caller.name}': monthly_credits"
        if caller.wallet is None and caller.monthly_credits:
            raise CallersError(f"{where}: needs a wallet, which is to owe them")
        if caller.wallet and limits.setdefault(caller.wallet, caller.monthly_credits) != (
            caller.monthly_credits
        ):
            raise CallersError(f"{where}: another caller says otherwise of the same wallet")


def _check_unique(grants: tuple[Grant, ...]) -> None:
    names = Counter(grant.caller.name for grant in grants)
    hashes = Counter(token_hash for grant in grants for token_hash in grant.token_hashes)
    for grant in grants:
        if names[grant.caller.name] > 1:
            raise CallersError(f"caller '{grant.caller.name}': name: is used twice")
        if any(hashes[token_hash] > 1 for token_hash in grant.token_hashes):
            raise CallersError(
                f"caller '{grant.caller.name}': tokens_sha256: another caller has the same token"
            )


def _explained(error: ErrorDetails, document: dict[str, Any]) -> str:
    return ": ".join((*_place(error["loc"], document), _problem(error)))


def _place(location: tuple[int | str, ...], document: dict[str, Any]) -> Iterator[str]:
    """Name the caller and the field."""
    if location[:1] == ("caller",) and len(location) > 1:
        entry = document["caller"][location[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        known = isinstance(name, str) and len(name) <= 64
        yield f"caller {name!r}" if known else f"caller {int(location[1]) + 1}"
        location = location[2:]
    field_name = next((part for part in location if isinstance(part, str)), "")
    if field_name:
        yield field_name


def _problem(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            fields = _Caller if error["loc"][0] == "caller" else _Document
            return f"is not a field; the fields are {', '.join(fields.model_fields)}"
        case "string_pattern_mismatch":
            return "must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-'"
    return error["msg"].removeprefix("Value error, ").replace("\n", " ")
