"""What the comments of the contract say: the text at each field, and the bounds in it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

from tests.contract.tool import SCRIPTS

PACKAGE = "atelier.generation.v1"
PACKAGES = {PACKAGE, "atelier.wallet.v1"}
_MESSAGE, _NESTED, _FIELD = 4, 3, 2
"""The numbers that lead to a message of a file, one inside of it, and a field of it."""
_SIZES = {"bytes": 1, "KiB": 2**10, "MiB": 2**20}
_BOUND = re.compile(
    r"(?:(?P<least>-?\d+)( s)? to |(?P<upto>at most |cut after |more than ))(?P<most>\d+)"
    r"(?: (?P<unit>characters|bytes|KiB|MiB|s|h|headers|documents|models)\b)?"
    r"|(?P<open>\d+)( s)? or more"
)
_OTHER = re.compile(
    r"an? UUID|64 hexadecimal digits|as many as were asked for|at most page_size|of whatever length"
    r"|3 characters of A to Z"
)
"""How else a comment may bound what is there."""

_NOTHING = re.compile(r"\b(Zero|Empty|Absent)\b|\"0\" means")
_NEVER_EMPTY = re.compile(r"never empty|an? UUID|64 hexadecimal digits|3 characters of A to Z")


@dataclass(frozen=True)
class Bound:
    """The first bound that a comment states."""

    least: int
    most: int | None
    unit: str
    words: str
    """What stands before the number, such as `at most`."""

    @property
    def size(self) -> int:
        """The greatest size in characters, bytes or whatever is counted."""
        assert self.most is not None
        return self.most * _SIZES.get(self.unit, 1)


def bound_in(comment: str) -> Bound | None:
    """Return the first bound of a comment."""
    found = _BOUND.search(" ".join(comment.split()))
    if found is None:
        return None
    if found["open"]:
        return Bound(int(found["open"]), None, "", "or more")
    least, most = int(found["least"] or 0), int(found["most"])
    return Bound(least, most, found["unit"] or "", (found["upto"] or "").strip())


def is_bounded(comment: str) -> bool:
    """Return whether a comment says how much there can be."""
    return bound_in(comment) is not None or bool(_OTHER.search(comment))


def says_what_nothing_means(comment: str) -> bool:
    """Return whether a comment says what zero, empty or absent means, or that it cannot be."""
    bound, text = bound_in(comment), " ".join(comment.split())
    is_there = bound is not None and bound.least != 0
    return is_there or bool(_NOTHING.search(text)) or bool(_NEVER_EMPTY.search(text))


@cache
def contract() -> tuple[FileDescriptorProto, ...]:
    """Compile the contract with its comments."""
    return _files()


@cache
def _files() -> tuple[FileDescriptorProto, ...]:
    with TemporaryDirectory() as folder:
        image = Path(folder, "image.binpb")
        subprocess.run([SCRIPTS / "buf", "build", "-o", image], check=True)
        files = FileDescriptorSet.FromString(image.read_bytes()).file
    return tuple(file for file in files if file.package in PACKAGES)


@cache
def comments() -> dict[str, str]:
    """Return the comment at each field, by the field's full name."""
    return {name: text for file in _files() for name, text in _of_file(file)}


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    texts = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
    for number, message in enumerate(file.message_type):
        for name, path in _fields(message, (_MESSAGE, number), within=file.package):
            yield name, texts.get(path, "")


def _fields(
    message: DescriptorProto, path: Sequence[int], *, within: str
) -> Iterator[tuple[str, tuple[int, ...]]]:
    name = f"{within}.{message.name}"
    for number, field in enumerate(message.field):
        yield f"{name}.{field.name}", (*path, _FIELD, number)
    for number, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _fields(nested, (*path, _NESTED, number), within=name)
