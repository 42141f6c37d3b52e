"""What can be set about the KIE stand-in, at start and while it runs."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt


class KieSettings(BaseModel):
    """The settings of the KIE stand-in; all but the first three can change while it runs."""

    model_config = ConfigDict(validate_assignment=True)

    base_url: str = "http://127.0.0.1:8091"
    """The address under which it is reached; result and upload links start with it."""
    seed: int = 0
    """The seed of the draws for faults that come by rate."""
    models_path: Path | None = None
    """The folder with the models' documents; none takes the one beside the packages."""

    api_key: str = Field(default="", repr=False)
    """The only key that is let in; empty lets in every key, as keys of one account."""
    api_keys: dict[str, str] = Field(default={}, repr=False)
    """The keys of several accounts by name; then `api_key` opens nothing."""
    hmac_key: str = Field(default="", repr=False)
    """The key that signs callbacks; empty sends them unsigned."""

    credits: NonNegativeFloat = 5916.25
    """The balance that each account starts with."""
    create_limit: PositiveInt = 20
    """The number of createTask calls within `create_window_s` on each account."""
    create_window_s: PositiveFloat = 10
    read_limit: PositiveInt = 10
    """The number of recordInfo calls within a second on each account."""
    description_limit: PositiveInt = 1
    """The number of requests for what KIE says of its models, within `description_window_s`."""
    description_window_s: PositiveFloat = 1
    max_concurrent: PositiveInt = 100
    """The number of tasks that may run at once on each account."""

    duration_s: NonNegativeFloat = 1.5
    """How long a task takes."""
    model_duration_s: dict[str, NonNegativeFloat] = {}
    """How long a task takes, for models that differ."""
    visible_after_s: NonNegativeFloat = 0.5
    """How long recordInfo is null after createTask."""

    callbacks: bool = True
    """Whether callbacks are sent at all."""
    song_callbacks: Literal["staged", "unified"] = "staged"
    """How the end of a song is told: in Suno's stages, or once as that of any other task."""
    callback_timeout_s: PositiveFloat = 15
    """How long the receiver of a callback may take."""
    callback_retries: int = Field(default=3, ge=0)
    """How often a callback is sent again that got no 200."""
    callback_retry_delay_s: NonNegativeFloat = 2
    """The pause before a callback is sent again."""

    result_kind: Literal["picture", "video", "audio", "song"] = "picture"
    """What the four free models make; a song is audio with a title, a length and a cover."""
    video_padding_mb: int = Field(default=0, ge=0, le=4000)
    """How many MiB a video is longer than its pictures: a box that players skip."""

    result_ttl_s: PositiveFloat = 24 * 3600
    """How long a result's link works."""
    upload_ttl_s: PositiveFloat = 24 * 3600
    """How long an uploaded file can be fetched."""
    fresh_ttl_s: PositiveFloat = 20 * 60
    """How long a link of download-url works."""


FIXED_SETTINGS = frozenset({"base_url", "seed", "models_path"})
"""The settings that cannot change while the stand-in runs."""
SECRET_SETTINGS = frozenset({"api_key", "api_keys", "hmac_key"})
"""The settings that are never shown."""
