"""What owners agreed to: that their own voice or face is copied, or one they may use."""

from dataclasses import dataclass
from datetime import datetime

from generation_svc.domain.model import Consent


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """What one owner agreed to, of one kind."""

    owner: str
    consent: Consent
    wording_version: str
    """The version of the wording that it agreed to, as the caller calls it."""
    agree_time: datetime
