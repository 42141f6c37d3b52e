"""Settings from the environment: one class per process, one clear line when one is wrong.

A setting is looked for, first found wins, in the environment as `NAME`, in the file that the
environment's `NAME_FILE` points at, and then in the same two ways in `.env` of the working folder.
An empty value counts as unset, and in the environment it also hides what `.env` says.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from runtime.address import Address
from runtime.setting_file import read_setting
from runtime.setting_text import meaning_of

EXIT_BAD_SETTING = 1
"""The exit code of a process that a missing or bad setting stopped."""


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)


def _header(secret: SecretStr) -> SecretStr:
    if not re.fullmatch("[!-~]+", secret.get_secret_value()):
        raise ValueError(
            "it must be printable ASCII without spaces, because it is sent in a header"
        )
    return secret


HeaderSecret = Annotated[SecretStr, AfterValidator(_header)]
"""A key or token that is sent in a header."""

Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""A comma-separated list of names, such as hosts."""


class SettingsError(ValueError):
    """The settings cannot be read; the text is the one line that says why."""


class ProcessSettings(BaseModel):
    """The settings that all processes share; each process adds its own in a subclass.

    The docstring under a field is what the person who got it wrong is shown. A model of pydantic's
    own: pydantic-settings would bring its command line and its clouds into every start.
    """

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        str_strip_whitespace=True,
        allow_inf_nan=False,
        validate_default=True,
    )

    def __init__(self, **given: Any) -> None:
        """Take what is given, and else the environment over `.env`; raises SettingsError."""
        super().__init__(**(_environment(type(self).model_fields) | given))

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: str(value).strip().lower()),
    ] = "info"
    """How much is logged: debug, info, warning or error."""

    log_format: Literal["console", "json"] = "console"
    """How a log line looks: console for people, json for machines."""

    metrics_listen: Address | None = Field(None, examples=["127.0.0.1:9100"])
    """Where Prometheus may read /metrics; nowhere when empty."""

    @classmethod
    def load(cls) -> Self:
        """Read the settings, or end the process with one line that says what to set."""
        try:
            return cls()
        except ValidationError as error:
            problem = "; ".join(_explained(cls, error.errors()))
        except SettingsError as error:
            problem = str(error)
        sys.stderr.write(f"settings: {problem}\n")
        raise SystemExit(EXIT_BAD_SETTING)


def _environment(fields: Iterable[str]) -> dict[str, str]:
    """Return the text of every field that something sets."""
    names = [field.upper() for field in fields]
    layers = _layer(_dotenv(), names) | _layer(os.environ, names)
    return {name.lower(): value for name, value in layers.items() if value}


def _layer(variables: Mapping[str, str | None], names: Iterable[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name in names:
        if variables.get(f"{name}_FILE") and not variables.get(name):
            values[name] = _read(variables[f"{name}_FILE"] or "", name=name)
        elif name in variables:
            values[name] = (variables[name] or "").strip()
    return values


def _read(path: str, *, name: str) -> str:
    try:
        text = read_setting(path)
    except ValueError as error:
        raise SettingsError(f"{name}_FILE: cannot read {_shown(path)}: {error}") from error
    if not text:  # an empty secret must not be taken for one that is not wanted
        raise SettingsError(f"{name}_FILE names an empty file")
    return text


def _shown(path: str) -> str:
    """Return a path for a message; what looks like none may be the secret itself."""
    return " ".join(path.split())[:200] if "/" in path else "the file"


def _dotenv() -> Mapping[str, str | None]:
    try:
        return dotenv_values(".env", interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(f".env: cannot be read: {reason}") from error


def _explained(settings: type[BaseModel], errors: Iterable[ErrorDetails]) -> Iterator[str]:
    for error in errors:
        message = " ".join(error["msg"].removeprefix("Value error, ").split())
        name = str(error["loc"][0]) if error["loc"] else ""
        field = settings.model_fields.get(name)
        if field is None:
            yield message
            continue
        problem = "is missing" if error["type"] == "missing" else f"is wrong: {message}"
        yield f"{name.upper()} {problem}{_wanted(field, meaning_of(name, settings=settings))}"


def _wanted(field: FieldInfo, meaning: str) -> str:
    example = f" For example: {field.examples[0]}" if field.examples else ""
    return f". {meaning}{example}" if meaning or example else ""
