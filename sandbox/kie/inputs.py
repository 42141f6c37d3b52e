"""Collecting what a task is made from: files behind addresses, results of earlier tasks."""

import asyncio
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx2

from sandbox.kie.account import Account
from sandbox.kie.commission import Given
from sandbox.kie.entry import Entry, Json, MediaInput, Price, media_in
from sandbox.kie.fetch import FetchError, fetch
from sandbox.kie.file import File
from sandbox.kie.probe import Probe, UnreadableFileError, probe
from sandbox.kie.state import Kie
from sandbox.kie.task import FETCH_FAILED, Failure

LARGEST_BYTES = {"image": 30_000_000, "video": 500_000_000, "audio": 500_000_000}
"""What is fetched of a kind where the model's documents name no limit."""
WRONG_TYPE = "image file type not supported"
TOO_LARGE = "The image size exceeds the limit"
NO_INFO = "Get image info failed."
MISSING_REFERENCE = "{} does not exist"
WRONG_REFERENCE = "{} is of a task that cannot be used here"


class InputError(Exception):
    """Something that was given cannot be used: the task fails."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


async def collect(
    entry: Entry, fields: Mapping[str, Any], *, kie: Kie, client: httpx2.AsyncClient
) -> list[Given]:
    """Return every file that the fields name; raises InputError."""
    given = [await _given(each, kie=kie, client=client) for each in media_in(entry, fields)]
    return [*given, *(await asyncio.to_thread(lambda: [*_earlier(entry, fields, kie=kie)]))]


async def _given(media: MediaInput, *, kie: Kie, client: httpx2.AsyncClient) -> Given:
    limit = int(media.limits.get("max_bytes") or LARGEST_BYTES[media.kind])
    try:
        content = await fetch(media.url, files=kie.files, client=client, limit=limit)
        told = await asyncio.to_thread(_probed, kie.files.find(media.url), content)
    except FetchError as error:
        raise InputError(FETCH_FAILED) from error
    except UnreadableFileError as error:
        raise InputError(_failure(NO_INFO, media)) from error
    if problem := _problem(media, told, size=len(content)):
        raise InputError(_failure(problem, media))
    return Given(field=media.field, content=content, probe=told)


async def seconds_given(
    entry: Entry, fields: Mapping[str, Any], *, kie: Kie, client: httpx2.AsyncClient
) -> dict[str, float]:
    """Return the seconds of what was given, by field, where the price asks for them.

    What cannot be used has none: the task will fail and cost nothing.
    """
    priced = _fields_of_length(kie.catalog.price(entry))
    seconds: dict[str, float] = {}
    for media in media_in(entry, fields):
        if media.field in priced:
            with suppress(InputError):
                given = await _given(media, kie=kie, client=client)
                length = math.ceil(round(given.probe.seconds, 3))
                seconds[media.field] = seconds.get(media.field, 0) + length
    return seconds


def _fields_of_length(price: Price) -> set[str]:
    quantities = [each for part in price.parts for each in part.times]
    named = [each["seconds_of"] for each in quantities if "seconds_of" in each]
    return {*named, *(name for each in quantities for name in each.get("longest_of", ()))}


def _probed(file: File | None, content: bytes) -> Probe:
    return file.probe if file else probe(content)


def _failure(text: str, media: MediaInput) -> Failure:
    return Failure("422", text.replace("image", media.kind))


def _problem(media: MediaInput, told: Probe, *, size: int) -> str | None:
    """Return what is wrong with a file, in KIE's words."""
    limits, types = media.limits, media.limits.get("types", ())
    if told.kind != media.kind or (told.kind == "image" and types and told.mime_type not in types):
        return WRONG_TYPE
    if size > limits.get("max_bytes", size) or told.seconds > limits.get("max_seconds", 1e9) + 1:
        return TOO_LARGE
    pixels = (told.size or (0, 0))[0] * (told.size or (0, 0))[1]
    is_small = told.seconds < limits.get("min_seconds", 0) or pixels < limits.get("min_pixels", 0)
    return NO_INFO if is_small or pixels > limits.get("max_pixels", pixels) else None


def reference_complaint(
    entry: Entry, fields: Mapping[str, Any], *, kie: Kie, account: Account
) -> str | None:
    """Return what is wrong with the ids of earlier tasks, songs, voices, or none."""
    for name, reference, value in _references(entry, fields):
        if problem := _reference_problem(reference, value, kie=kie, account=account):
            return problem.format(name)
    return None


def _references(entry: Entry, fields: Mapping[str, Any]) -> Iterator[tuple[str, Json, str]]:
    for name, schema in entry.fields.items():
        if (reference := schema.get("x-ref")) and fields.get(name):
            values = fields[name] if isinstance(fields[name], list) else [fields[name]]
            yield from ((name, reference, str(value)) for value in values)


def _reference_problem(reference: Json, value: str, *, kie: Kie, account: Account) -> str | None:
    if reference["kind"] == "task":
        task = kie.tasks.get(value)
        if task is None or task.account != account.name or task.state != "success":
            return MISSING_REFERENCE
        return WRONG_REFERENCE if reference["of"] and task.model not in reference["of"] else None
    asset = kie.assets.get(value)
    is_there = asset is not None and asset.account == account.name
    return None if is_there and asset and asset.kind == reference["kind"] else MISSING_REFERENCE


def _earlier(entry: Entry, fields: Mapping[str, Any], *, kie: Kie) -> Iterator[Given]:
    """Yield what earlier tasks made that the fields name: one song, or else all of a task."""
    named = [*_references(entry, fields)]
    songs = [
        (name, kie.assets[value].url, kie.assets[value].words)
        for name, reference, value in named
        if reference["kind"] == "audio" and value in kie.assets
    ]
    made = [
        (name, url, "")
        for name, reference, value in named
        if reference["kind"] == "task" and value in kie.tasks
        for url in _chosen(kie.tasks[value].urls, fields)
    ]
    for name, url, words in songs or made:
        if file := kie.files.find(url):
            yield Given(field=name, content=file.content, probe=file.probe, words=words)


def _chosen(urls: list[str], fields: Mapping[str, Any]) -> list[str]:
    """Return the result with the `index` that is asked for, or all of them."""
    index = str(fields.get("index", ""))
    return urls[int(index) : int(index) + 1] if index.isdigit() else urls
