"""The settings of the service that say what is sold, and what jobs may cost the operator."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from generation_svc.domain.top_up import parse_packs
from runtime.settings import ProcessSettings


def _packs(text: str) -> str:
    parse_packs(text)
    return text


PacksText = Annotated[str, AfterValidator(_packs)]
"""Packs as `id=credits:stars`, with commas in between."""


class MoneySettings(ProcessSettings):
    """What the service is told of money: which it takes, what for, and up to which losses."""

    unpaid_models: Literal["refuse", "allow"] = "refuse"
    """Whether models that cost money may be used unpaid: for a sandbox, never the real KIE."""

    money: Literal["test", "live"] | None = None
    """Which money jobs are paid with, of a database for ever; when empty nothing is sold."""

    star_packs: PacksText = Field("", examples=["small=100:100,medium=550:500"])
    """The packs of credits that are sold for Telegram Stars, as `id=credits:stars`."""

    max_daily_top_up_credits: int = Field(100_000, ge=0, le=1_000_000_000)
    """Credits that a caller may record in a day (UTC) of payments that are not reconciled yet.

    0 sets no limit.
    """

    cost_excess_percent: float = Field(5, ge=0, le=1000)
    """Percent of a quote that KIE may take beyond it before the model goes off sale."""

    cost_excess_credits: float = Field(0.5, ge=0, le=1_000_000)
    """KIE credits that KIE may take beyond a quote, however small, before it goes off sale."""

    daily_free_cap: float | None = Field(None, ge=0, le=1e9)
    """KIE credits that the free jobs of a day (UTC) may cost; when empty there is no limit."""

    daily_cap: float | None = Field(None, ge=0, le=1e9)
    """KIE credits that all jobs of a day (UTC) may cost; when empty there is no limit."""

    seller_text: str = Field("", max_length=500, examples=["Example Studio, help@example.org"])
    """Who sells, as terms, receipts and statements show it: a name, an address; in lines."""
