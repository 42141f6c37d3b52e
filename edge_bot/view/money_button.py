"""The actions of buttons about money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edge_bot.view.action import Action, DraftAction


@dataclass(frozen=True, slots=True)
class MoneyAction(Action):
    """What is asked about money, whatever is being made."""


@dataclass(frozen=True, slots=True)
class ShowWallet(MoneyAction):
    """Show the balance."""

    code: ClassVar[str] = "wb"


@dataclass(frozen=True, slots=True)
class ShowPacks(MoneyAction):
    """Show what is sold; 1 in a message of its own, 0 in place of the pressed one."""

    code: ClassVar[str] = "wp"
    is_apart: int


@dataclass(frozen=True, slots=True)
class BuyPack(MoneyAction):
    """Send the invoice of a pack."""

    code: ClassVar[str] = "wi"
    pack_id: str


@dataclass(frozen=True, slots=True)
class ShowTransfers(MoneyAction):
    """Show a page of what was added and taken."""

    code: ClassVar[str] = "wt"
    page: int


@dataclass(frozen=True, slots=True)
class ShowStatements(MoneyAction):
    """Offer statements as files."""

    code: ClassVar[str] = "ws"


@dataclass(frozen=True, slots=True)
class SendStatement(MoneyAction):
    """Send the statement of the last days in a format, one of StatementFormat."""

    code: ClassVar[str] = "wd"
    days: int
    format: int


@dataclass(frozen=True, slots=True)
class ShowReceipts(MoneyAction):
    """Show a page of the top-ups."""

    code: ClassVar[str] = "wr"
    page: int


@dataclass(frozen=True, slots=True)
class ShowReceipt(MoneyAction):
    """Show the receipt of a top-up; 1 in a message of its own, 0 in place of the pressed one."""

    code: ClassVar[str] = "wz"
    top_up_id: str
    is_apart: int


@dataclass(frozen=True, slots=True)
class SendReceipt(MoneyAction):
    """Send the receipt of a top-up as a file."""

    code: ClassVar[str] = "wf"
    top_up_id: str


@dataclass(frozen=True, slots=True)
class AskSupport(MoneyAction):
    """Say where questions about a top-up go; an empty id means the latest one."""

    code: ClassVar[str] = "wh"
    top_up_id: str


@dataclass(frozen=True, slots=True)
class Agree(DraftAction):
    """Make what the draft is about, at this price in credits."""

    code: ClassVar[str] = "ga"
    credits: int


@dataclass(frozen=True, slots=True)
class ResumeDraft(DraftAction):
    """Show the draft in a message of its own."""

    code: ClassVar[str] = "gr"


MONEY_ACTIONS: tuple[type[Action], ...] = (
    ShowWallet,
    ShowPacks,
    BuyPack,
    ShowTransfers,
    ShowStatements,
    SendStatement,
    ShowReceipts,
    ShowReceipt,
    SendReceipt,
    AskSupport,
    Agree,
    ResumeDraft,
)
"""Every action that a button about money can carry."""
