"""All timeouts and intervals in one value, so that a test can run an hour in a second."""

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Self

FLOORS = MappingProxyType(
    {
        "create_timeout": timedelta(seconds=1),
        "submit_lease": timedelta(seconds=3),
        "read_lease": timedelta(seconds=10),
        "fetch_lease": timedelta(seconds=10),
        "fetch_timeout": timedelta(seconds=10),
        "cover_timeout": timedelta(seconds=5),
    }
)
"""What waits for one answer of a healthy provider, at any scale: a busy machine is no outage."""
_FIRST_PHASE = timedelta(seconds=30)
_SECOND_PHASE = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Timing:
    """Every span that concerns the provider and the life of a job (design §3)."""

    start_deadline: timedelta = timedelta(seconds=2 * 3600)
    """From accept: the provider must have taken the job."""
    hard_deadline: timedelta = timedelta(seconds=24 * 3600)
    """From the provider's acceptance: ends everything."""
    longest_factor: float = 1.0
    """What a model's longest duration is multiplied with to get its finish deadline."""
    unknown_grace: timedelta = timedelta(seconds=120)
    """The least time before a job whose attempt is unknown is sent again."""
    missing_grace: timedelta = timedelta(seconds=90)
    """How long "recordInfo is null" means "not yet"."""
    first_read_floor: timedelta = timedelta(seconds=15)
    """The least time before the first read where callbacks are on."""
    read_floor: timedelta = timedelta(seconds=2.5)
    """The provider's cadence in the first 30 s."""
    create_timeout: timedelta = timedelta(seconds=20)
    """How long createTask may send nothing; the call is aborted after twice that."""
    submit_lease: timedelta = timedelta(seconds=60)
    """How long a dispatcher may take from claim to createTask's answer."""
    busy_retry: timedelta = timedelta(seconds=5)
    """How long a job waits after a "not now"."""
    probe_interval: timedelta = timedelta(seconds=15)
    """How long the breaker stays open between two probes."""
    hint_interval: timedelta = timedelta(seconds=10)
    """How often an unproved callback may move a read forward."""
    read_lease: timedelta = timedelta(seconds=30)
    """How long a reader may take; then another one reads."""
    fetch_lease: timedelta = timedelta(seconds=180)
    """How long a fetch may take; then another worker tries."""
    fetch_retry: timedelta = timedelta(seconds=2)
    """The first wait after a result could not be fetched; it doubles, up to 32 times as long."""
    fetch_timeout: timedelta = timedelta(minutes=15)
    """How long links may give nothing: what could be fetched by then is the result."""
    cover_timeout: timedelta = timedelta(seconds=20)
    """How long a song or a video that is here waits for its cover."""
    outage_timeout: timedelta = timedelta(hours=2)
    """How long a result's host is waited for at least, however short `fetch_timeout` is."""
    empty_retry: timedelta = timedelta(seconds=5)
    """The wait between two reads of a success that shows no result."""
    cost_retry: timedelta = timedelta(seconds=5)
    """The wait before the first read of a cost that nobody told; it triples."""
    model_rest: timedelta = timedelta(minutes=10)
    """How long a model that the provider switched off is not asked for."""
    balance_interval: timedelta = timedelta(seconds=50)
    """How old what is known of an account's balance may be before it is asked for again."""
    balance_age: timedelta = timedelta(minutes=10)
    """How old what is known of an account's balance may be before it refuses nothing."""
    unread_grace: timedelta = timedelta(minutes=10)
    """How long a due task must have gone unread before its account counts as gone."""
    orphan_age: timedelta = timedelta(hours=48)
    """How old bytes without a row are when they are removed; no fetch lives so long."""
    time_scale: float = 1.0

    def scaled(self, factor: float) -> Self:
        """Return the timing with every span multiplied by `factor`, but not below its floor."""
        spans = {f.name: getattr(self, f.name) for f in fields(self)}
        scaled = {
            name: max(span * factor, FLOORS.get(name, timedelta(0)))
            for name, span in spans.items()
            if isinstance(span, timedelta)
        }
        return replace(self, **scaled, longest_factor=factor, time_scale=factor)

    def read_interval(self, age: timedelta) -> timedelta:
        """Return the time until the next read of a task of this age, at the provider's cadence."""
        if age < _FIRST_PHASE * self.time_scale:
            return self.read_floor
        if age < _SECOND_PHASE * self.time_scale:
            return self.read_floor * 3
        return self.read_floor * 8

    def first_read(self, *, typical: timedelta, has_callbacks: bool) -> timedelta:
        """Return the time from acceptance to the first read; `typical` is the 95th percentile."""
        if has_callbacks:
            return max(self.first_read_floor, typical * 1.5)
        return self.read_floor

    @property
    def input_grace(self) -> timedelta:
        """For how long after its acceptance a job may still need what its inputs name."""
        return self.start_deadline + self.hard_deadline

    def grace(self, usual: timedelta) -> timedelta:
        """Return how long to wait for an attempt of unknown fate before making another."""
        return max(self.unknown_grace, usual * 3 * self.time_scale)
