"""Reads what KIE posts: the `CallbackReader` of the use cases."""

from collections.abc import Callable, Mapping
from datetime import datetime

from generation_svc.domain.failure import Failure
from generation_svc.domain.observation import Observation
from generation_svc.provider.kie.failure import failure_of
from generation_svc.provider.kie.meter import KieMeter
from generation_svc.provider.kie.payload import read_body
from generation_svc.provider.kie.signature import Verdict, judge_signature
from runtime.clock import utc_now

SIGNATURE = "x-webhook-signature"
TIMESTAMP = "x-webhook-timestamp"


class KieCallbackReader:
    """Reads callbacks, and checks their signature where a key is set (kie-api.md §3)."""

    def __init__(
        self,
        hmac_key: str | None,
        *,
        now: Callable[[], datetime] = utc_now,
        meter: KieMeter | None = None,
    ) -> None:
        self._key = hmac_key
        self._now = now
        self._meter = meter or KieMeter()

    def read(self, body: bytes) -> Observation:
        """Read what a callback says; any bytes at all give an observation."""
        return read_body(body)

    def is_signed(self, headers: Mapping[str, str], *, task_id: str | None) -> bool:
        """Return whether the signature is valid and recent; True where no key is set."""
        if self._key is None:
            return True
        verdict = judge_signature(
            self._key,
            task_id=task_id or "",
            timestamp=headers.get(TIMESTAMP, ""),
            signature=headers.get(SIGNATURE, ""),
            now=self._now(),
        )
        self._meter.signatures.labels(verdict).inc()
        return task_id is not None and verdict is Verdict.VALID

    def explain(self, observation: Observation) -> Failure:
        """Say in words for people why a task failed."""
        return failure_of(observation, meter=self._meter)
