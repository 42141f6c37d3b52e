"""The day on which tests run: it does not end while a test counts what happens in it."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest

from generation_svc.domain.clock import day_after
from runtime.clock import utc_now

DAY = os.environ.setdefault("ATELIER_TEST_DAY", f"{utc_now():%Y%m%d}")
"""When the run began; its processes inherit it, so that they collect the same tests at midnight."""
ENOUGH = timedelta(seconds=30)
"""How long such a test takes at most, on a slow machine too."""


@pytest.fixture
async def within_one_day() -> None:
    """Wait for the next day (UTC) if hardly anything is left of this one, or of this month."""
    while day_after(now := utc_now()) - now < ENOUGH:  # noqa: ASYNC110 - no event tells of midnight
        await asyncio.sleep(0.1)
