"""Builds what jobs are paid with here, and holds the settings to what the database says."""

from decimal import Decimal

from generation_svc.domain.cost_excess import ExcessBound
from generation_svc.domain.daily_cap import DailyCaps
from generation_svc.domain.error import Unavailable
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.top_up import parse_packs
from generation_svc.lifecycle.dependencies import MoneyDependencies
from generation_svc.settings import GenerationSettings
from generation_svc.storage.database import PostgresDatabase
from runtime.process import StartError


async def money_of(settings: GenerationSettings, database: PostgresDatabase) -> MoneyDependencies:
    """Return what jobs are paid with, once the database agrees. Raises StartError."""
    mode = MoneyMode(settings.money) if settings.money else None
    try:
        async with database.transaction() as tx:
            state = await tx.money.mark(mode) if mode else await tx.money.state()
            if state and state.mode is mode:
                await tx.top_ups.offer(parse_packs(settings.star_packs))
    except Unavailable as error:
        raise StartError("The database went away while the service started.") from error
    if state and state.mode is not mode:
        raise StartError(
            f"MONEY is {settings.money or 'empty'}, but this database holds {state.mode} money for"
            f" ever: set MONEY={state.mode}, or give DATABASE_URL another database."
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
    )


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))
