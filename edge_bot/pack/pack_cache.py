"""What is sold, read from the service now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc
import structlog

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import Pack
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from generation_client import GenerationError, translated

FRESH_S = 10.0
"""How old the packs may become before they are read again, in seconds."""

_NO_MONEY = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED)
"""What a service answers that knows no money, or does not let this edge see it."""

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Packs:
    """What is sold for Stars."""

    is_on: bool = False
    """Whether there is money at all: the operator set MONEY."""
    is_open: bool = False
    """Whether anything can be bought now."""
    all: tuple[Pack, ...] = ()
    """The packs, the cheapest first."""
    seller_text: str = ""
    """Who sells, as terms and receipts show it; may be empty, or have several lines."""
    is_live: bool = False
    """Whether the money is real."""

    def find(self, pack_id: str) -> Pack | None:
        """Return the pack with this id, if it can be bought now."""
        return next((each for each in self.for_sale if each.id == pack_id), None)

    def covering(self, missing: int) -> Pack | None:
        """Return the cheapest pack that brings so many credits, else the one that brings most."""
        enough = [each for each in self.for_sale if each.credits >= missing]
        most = sorted(self.for_sale, key=lambda each: each.credits)[-1:]
        return next(iter(enough or most), None)

    @property
    def for_sale(self) -> tuple[Pack, ...]:
        """The packs that can be bought now."""
        return self.all if self.is_open else ()


class PackCache:
    """Holds the packs for a while; old ones serve while the service is away."""

    def __init__(
        self,
        wallet: WalletServiceStub,
        *,
        fresh_s: float = FRESH_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wallet, self._fresh_s, self._clock = wallet, fresh_s, clock
        self._packs: Packs | None = None
        self._read_at = 0.0

    async def get(self) -> Packs:
        """Return the packs; raises GenerationError if none were ever read and none can be."""
        if self._packs is not None and self._clock() - self._read_at < self._fresh_s:
            return self._packs
        try:
            self._packs = await self._read()
        except GenerationError as error:
            if self._packs is None:
                raise
            _logger.warning("the packs could not be read", error=str(error))
            return self._packs
        self._read_at = self._clock()
        return self._packs

    def expire(self) -> None:
        """Have the packs read again at the next use."""
        self._read_at = self._clock() - self._fresh_s

    async def _read(self) -> Packs:
        try:
            with translated():
                answer = await self._wallet.ListPacks(pb.ListPacksRequest())
        except GenerationError as error:
            if error.reason != "MONEY_OFF" and error.code not in _NO_MONEY:
                raise
            if self._packs is None and error.code is grpc.StatusCode.PERMISSION_DENIED:
                _logger.warning("this edge lacks the scopes wallet_read and wallet_topup")
            return Packs()
        return Packs(
            is_on=True,
            is_open=answer.is_open,
            all=tuple(answer.packs),
            seller_text=answer.seller_text,
            is_live=answer.is_live,
        )
