"""Which money a process sells for: what its settings say, and the database holds for ever."""

from decimal import Decimal
from functools import partial
from itertools import repeat

import structlog

from generation_svc.domain.cost_excess import ExcessBound
from generation_svc.domain.daily_cap import DailyCaps
from generation_svc.domain.error import Unavailable
from generation_svc.domain.money import MoneyMode, MoneyState
from generation_svc.domain.top_up import parse_packs
from generation_svc.lifecycle.dependencies import MoneyDependencies
from generation_svc.settings import GenerationSettings
from generation_svc.storage.database import PostgresDatabase
from generation_svc.storage.start import DATABASE_MAX_WAIT_SECONDS, RETRY_SECONDS
from runtime.process import StartError
from runtime.retry import retry
from runtime.wait import Deadline

_logger = structlog.get_logger(__name__)


async def money_of(settings: GenerationSettings, database: PostgresDatabase) -> MoneyDependencies:
    """Return what jobs are paid with, once the database agrees. Raises StartError."""
    mode = MoneyMode(settings.money) if settings.money else None
    await _agree(settings, database, mode=mode)
    seller = settings.seller_text.strip()
    if mode is MoneyMode.LIVE and not seller:
        _logger.warning(
            "real money is taken, and SELLER_TEXT is empty: /terms, receipts and statements do not"
            " say who sells"
        )
    return MoneyDependencies(
        mode,
        is_provider_real=settings.is_kie_real,
        packs=parse_packs(settings.star_packs),
        daily_credits=settings.max_daily_top_up_credits or None,
        caps=DailyCaps(
            free=_decimal(settings.daily_free_cap), overall=_decimal(settings.daily_cap)
        ),
        excess_bound=ExcessBound(
            share=Decimal(str(settings.cost_excess_percent)) / 100,
            credits=Decimal(str(settings.cost_excess_credits)),
        ),
        seller=seller,
    )


async def _agree(
    settings: GenerationSettings, database: PostgresDatabase, *, mode: MoneyMode | None
) -> None:
    """Mark the database with the money of the settings. Raises StartError if it has another."""
    try:
        state = await retry(
            partial(_mark, database, mode, packs=settings.star_packs),
            delays=repeat(RETRY_SECONDS),
            may_pass=lambda error: isinstance(error, Unavailable),
            deadline=Deadline(DATABASE_MAX_WAIT_SECONDS),
        )
    except Unavailable as error:
        raise StartError("The database went away while the service started.") from error
    if state and state.mode is not mode:
        raise StartError(
            f"MONEY is {settings.money or 'empty'}, but this database holds {state.mode} money for"
            f" ever: set MONEY={state.mode}, or give DATABASE_URL another database."
        )


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))


async def _mark(
    database: PostgresDatabase, mode: MoneyMode | None, *, packs: str
) -> MoneyState | None:
    async with database.transaction() as tx:
        state = await tx.money.mark(mode) if mode else await tx.money.state()
        if state and state.mode is mode:
            await tx.top_ups.offer(parse_packs(packs))
    return state
