"""Reads KIE's callbacks: the `CallbackReader` of the service."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from generation_svc.domain.failure import Failure
from generation_svc.domain.model import ResultForm
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.callback import Evidence
from generation_svc.provider.kie.failure import failure_of
from generation_svc.provider.kie.meter import KieMeter
from generation_svc.provider.kie.payload import read_body
from generation_svc.provider.kie.shape import shaped
from generation_svc.provider.kie.signature import Verdict, judge_signature
from runtime.clock import utc_now

SIGNATURE = "x-webhook-signature"
TIMESTAMP = "x-webhook-timestamp"


class KieCallbackReader:
    """Reads callbacks, and checks their signature where keys are set (kie-api.md §3).

    Each account may sign with a key of its own; any key of the list is KIE's.
    """

    def __init__(
        self,
        hmac_keys: Sequence[str] = (),
        *,
        now: Callable[[], datetime] = utc_now,
        meter: KieMeter | None = None,
    ) -> None:
        self._keys = tuple(hmac_keys)
        self._now = now
        self._meter = meter or KieMeter()

    def read(self, body: bytes) -> Observation:
        """Read what a callback says; any bytes at all give an observation."""
        return read_body(body)

    @property
    def wants_evidence(self) -> bool:
        """Whether a callback without a signature is a hint only."""
        return bool(self._keys)

    def evidence(self, headers: Mapping[str, str], body: bytes) -> Evidence:
        """Return TASK for a valid and recent signature: KIE signs the task's id, never the body."""
        if not self._keys:
            return Evidence.NONE
        task_id = read_body(body).task_id
        verdicts = [self._judge(key, headers, task_id=task_id or "") for key in self._keys]
        verdict = next((each for each in verdicts if each is not Verdict.WRONG), Verdict.WRONG)
        self._meter.signatures.labels(verdict).inc()
        is_proved = task_id is not None and verdict is Verdict.VALID
        return Evidence.TASK if is_proved else Evidence.NONE

    def _judge(self, key: str, headers: Mapping[str, str], *, task_id: str) -> Verdict:
        return judge_signature(
            key,
            task_id=task_id,
            timestamp=headers.get(TIMESTAMP, ""),
            signature=headers.get(SIGNATURE, ""),
            now=self._now(),
        )

    def shape(self, observation: Observation, *, form: ResultForm) -> Observation:
        """Return what was observed as the model's document promises a result."""
        return shaped(observation, form=form)

    def explain(self, observation: Observation) -> Failure:
        """Say in words for people why a task failed."""
        return failure_of(observation, meter=self._meter)
