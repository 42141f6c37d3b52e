"""Asks what is left to whom a paid job was charged."""

from __future__ import annotations

import structlog

from atelier.generation.v1.job_pb2 import Job
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from edge_bot.view.charge_text import credits_of
from generation_client import GenerationError, translated

ASK_S = 2.0
"""How long a result waits for the balance that it is sent with, in seconds."""

_logger = structlog.get_logger(__name__)


async def balance_after(wallet: WalletServiceStub, job: Job) -> int | None:
    """Return what the owner of a paid job has now; None if the job is free or nobody can tell.

    A result is worth sending without it.
    """
    if not credits_of(job.price):
        return None
    request = pb.GetBalanceRequest(owner=job.owner)
    try:
        with translated():
            return int((await wallet.GetBalance(request, timeout=ASK_S)).wallet.balance)
    except GenerationError as error:
        _logger.info("a result is sent without the balance", job_id=job.id, error=str(error))
        return None
