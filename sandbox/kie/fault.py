"""The faults that the KIE stand-in can commit; armed as `sandbox.fault` says."""

from enum import StrEnum


class KieFault(StrEnum):
    """Every kind of fault, grouped by the moment at which it is drawn.

    The subject is the model, a line break, and the prompt; for `down` it is the path.
    """

    DOWN = "down"
    """Every request is answered 503 (or `status`) without a KIE body."""

    HANG = "hang"
    """createTask creates nothing and never answers (or hangs up after `seconds`)."""
    CREATE_429 = "create_429"
    """createTask says 429 in the body; with `status` 429 also as the HTTP status."""
    CREATE_5XX = "create_5xx"
    """createTask answers HTTP 500 (or `status`); with `status` 200 the body says 500."""
    MAINTENANCE = "maintenance"
    """createTask says 455."""
    UNAUTHORIZED = "unauthorized"
    """createTask says 401, as for a wrong key."""
    NO_CREDITS = "no_credits"
    """createTask says 402; with `code` 500 the same text under 500, which was seen as well."""
    CREATE_REFUSED = "create_refused"
    """createTask says `code` (default 505) and `message`."""

    CREATE_UNAVAILABLE = "create_unavailable"
    """createTask answers HTTP 503 (or `status`) with KIE's own body, which says 503 as well."""
    MODEL_OFF = "model_off"
    """createTask says that the model is `paused` (500), `unpublished` (422) or `disabled` (505),
    as `variant` names it."""

    CREATE_NO_ANSWER = "create_no_answer"
    """createTask creates the task and never answers (or hangs up after `seconds`)."""
    CREATE_CUT = "create_cut"
    """createTask creates the task and cuts the connection within the answer."""
    NUMERIC_ID = "numeric_id"
    """The task's id is a number, wherever it is told."""
    LONG_ANSWER = "long_answer"
    """createTask creates the task and answers with 2 MiB, the id among them."""
    PACKED_ANSWER = "packed_answer"
    """createTask creates the task and answers with 400 kB of gzip that unpack to 400 MB."""
    CALLBACK_BEFORE_ANSWER = "callback_before_answer"
    """The task is run and its callback delivered before createTask answers."""
    NO_CALLBACK = "no_callback"
    """The task ends and nobody is told."""
    CALLBACK_TWICE = "callback_twice"
    """The same callback is sent a second time."""
    CALLBACK_LATE = "callback_late"
    """The callback is sent `seconds` (default 5) after the task ended."""
    CALLBACK_FORGED = "callback_forged"
    """A callback with a wrong token comes first: a success with a foreign link, or the
    `variant` `fail`."""
    CALLBACK_MALFORMED = "callback_malformed"
    """The callback's body is broken: `truncated`, `empty`, `array` or `binary` (`variant`)."""
    CALLBACK_WRONG_FAMILY = "callback_wrong_family"
    """The callback has the shape of another family: `runway` or `suno` (`variant`)."""
    WAITING_FOREVER = "waiting_forever"
    """The task stays `waiting`."""
    TASK_LOST = "task_lost"
    """recordInfo is null for ever, no callback comes."""
    TASK_DEAD = "task_dead"
    """recordInfo says 501 (or `code`) in the envelope itself, no callback comes."""
    UNKNOWN_STATE = "unknown_state"
    """recordInfo shows `paused` (or `variant`) until the task ends."""
    GENERATION_FAILED = "generation_failed"
    """The task fails with failCode `code` (default 500) and failMsg `message`."""
    CONTENT_REFUSED = "content_refused"
    """The task fails as inappropriate content."""
    DEAD_RESULT_LINK = "dead_result_link"
    """The result's link answers 404; download-url gives a good one."""
    SLOW_DOWNLOAD = "slow_download"
    """The result comes drop by drop within `seconds` (default 5)."""
    BAD_RESULT = "bad_result"
    """The result's link gives nothing, for ever or for `seconds`: zero bytes (`empty`), 500
    (`status`), a redirect to itself (`loop`), a body that breaks off (`cut`), a page (`html`) or
    half of the picture (`half`), as `variant` names it; download-url gives a good link."""
    BAD_FRESH_LINK = "bad_fresh_link"
    """download-url is no help: `refused`, or a link to another host (`foreign`), as `variant`
    names it."""
    EXTRA_LINK = "extra_link"
    """The success names one link more, which is `dead` for ever or leads to a `foreign` host."""
    RESULT_PLACE = "result_place"
    """The result stands in `response` alone, is encoded `twice`, or is `missing` for ever, as
    `variant` names it."""

    COST_LESS = "cost_less"
    """A success consumes half of what its price says."""
    COST_LATE = "cost_late"
    """Nothing names what a success consumed until `seconds` (default 5) after its end."""

    READ_429 = "read_429"
    """recordInfo says 429 in the body; with `status` 429 also as the HTTP status."""
    READ_5XX = "read_5xx"
    """recordInfo answers HTTP 500 (or `status`); with `status` 200 the body says 500."""
    READ_PACKED = "read_packed"
    """recordInfo answers with 400 kB of gzip that unpack to 400 MB."""
    READ_HANG = "read_hang"
    """recordInfo never answers (or hangs up after `seconds`)."""


TASK_FAULTS = tuple(KieFault)[
    tuple(KieFault).index(KieFault.CREATE_NO_ANSWER) : tuple(KieFault).index(KieFault.READ_429)
]
"""The faults that are drawn once, when a task is created, and stay with it."""
