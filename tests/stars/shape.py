"""Validates exchanges with aiogram's models; runs in the environment that has aiogram."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiogram.methods
from aiogram.methods import Response
from pydantic import BaseModel, ValidationError


def main() -> int:
    """Print each exchange that is not what it should be; return 0 if there is none."""
    exchanges = json.loads(Path(sys.argv[1]).read_text())
    wrong = [text for one in exchanges for text in _complaints(one)]
    for text in wrong:
        sys.stderr.write(f"{text}\n")
    spoiled = sum(not one["fits"] for one in exchanges)
    methods = len({one["method"] for one in exchanges})
    sys.stdout.write(
        f"aiogram: {methods} methods, {len(exchanges) - spoiled} exchanges,"
        f" {spoiled} spoiled ones, {len(wrong)} complaints\n"
    )
    return bool(wrong)


def _complaints(exchange: dict[str, Any]) -> Iterator[str]:
    found = list(_differences(exchange))
    name = exchange["method"]
    if exchange["fits"]:
        yield from (f"{name}: {one}" for one in found)
    elif not found:
        yield f"{name}: {exchange['about']} went unnoticed"


def _differences(exchange: dict[str, Any]) -> Iterator[str]:
    method = getattr(aiogram.methods, exchange["method"][0].upper() + exchange["method"][1:])
    expected = ((method, exchange["params"]), (Response[method.__returning__], exchange["answer"]))
    for model, value in expected:
        try:
            shown = model.model_validate(value)
        except ValidationError as error:
            yield str(error)
        else:
            yield from _unknown(shown, path=type(shown).__name__)


def _unknown(value: Any, *, path: str) -> Iterator[str]:
    """Yield every field, at any depth, that aiogram has no name for."""
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name} is unknown" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name), path=f"{path}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from _unknown(one, path=path)


if __name__ == "__main__":
    raise SystemExit(main())
