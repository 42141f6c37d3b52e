"""What actions of buttons share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Action:
    """What pressing a button asks for."""

    code: ClassVar[str]


@dataclass(frozen=True, slots=True)
class FollowLink(Action):
    """Open a web page: Telegram does it, and the bot is not told."""

    uri: str


@dataclass(frozen=True, slots=True)
class DraftAction(Action):
    """What is asked of a draft; an empty tag means a new one."""

    draft: str
