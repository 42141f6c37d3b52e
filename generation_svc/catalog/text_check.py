"""Checks the texts of an entry: that all are there, each in its language."""

import re
from collections.abc import Iterator
from typing import Any

from generation_svc.catalog.parse import choice_key, option_paths, steps_to
from generation_svc.catalog.shape import schema_at

_CYRILLIC = re.compile(r"[А-Яа-яЁё]")
_Entry = dict[str, Any]


def text_problems(entry: _Entry) -> Iterator[str]:
    """Yield what is missing or in the wrong language."""
    for name in ("description", "hint"):
        if not _CYRILLIC.search(entry[name]["ru"]):
            yield f"{name}.ru is not Russian"
    for path in option_paths(entry["input_schema"]):
        texts = entry["options"].get(path)
        if texts is None or "label" not in texts:
            yield f"field {path} has no label: give one, here or in words.json"
        else:
            yield from _choice_problems(entry, path, texts=texts)
    for where, text in _texts(entry):
        if _CYRILLIC.search(text):
            yield f"{where} is not English: {text}"
        if "_" in text and "label" in where:
            yield f"{where} is a raw name: {text}"


def _choice_problems(entry: _Entry, path: str, *, texts: _Entry) -> Iterator[str]:
    schema = schema_at(entry["input_schema"], steps_to(path))
    labelled = set(texts.get("choices", {}))
    closed = {choice_key(value) for value in schema.get("enum", ())}
    if closed and labelled != closed:
        yield f"the choices of {path} are not the values of its enum"
    elif not closed and labelled - set(schema.get("examples", ())):
        yield f"the choices of {path} are not among its examples"
    if set(texts.get("current", ())) - closed:
        yield f"current values of {path} are not in its enum"


def _texts(entry: _Entry) -> Iterator[tuple[str, str]]:
    for name in ("title", "description", "hint"):
        yield f"{name}.en", entry[name]["en"]
    for number, each in enumerate(entry["prompt_examples"]):
        yield f"prompt_examples[{number}].en", each["en"]
    for path, texts in entry["options"].items():
        lines = {"label": texts.get("label"), "hint": texts.get("hint")}
        lines |= {f"label of {key}": text for key, text in texts.get("choices", {}).items()}
        for name, line in lines.items():
            if line:
                yield f"options.{path}: {name}.en", line["en"]
