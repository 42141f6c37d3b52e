"""The words of the contract: any media is meant, ids say what they name, old fields what is new."""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from tests.contract.comment import comments, contract

TEXT = FieldDescriptorProto.TYPE_STRING
TYPED = re.compile(
    r"UUID|as in ListModels|of the model|of the models|key of the caller's own|of the pack|of the"
    r" top-up|the provider calls|is called there|of what caused it|the id of its payment"
)
"""How a comment says what kind of id it is."""
UNTYPED = {"correlation_id"}
"""What callers choose freely, and nothing is found by."""


def texts() -> Iterator[tuple[str, str]]:
    """Yield each comment of the contract with its file."""
    for file in contract():
        for place in file.source_code_info.location:
            yield file.name, place.leading_comments + place.trailing_comments


def test_nothing_is_called_a_picture_where_any_media_is_meant() -> None:
    word = re.compile(r"\bpictures?\b|\bphotos?\b", re.IGNORECASE)
    assert [(name, text) for name, text in texts() if word.search(text)] == []


def test_every_id_says_what_it_names() -> None:
    silent = {
        name
        for file in contract()
        for name in ids_of(file)
        if name.rpartition(".")[2] not in UNTYPED and not TYPED.search(comments()[name])
    }
    assert silent == set()


def ids_of(file: FileDescriptorProto) -> Iterator[str]:
    """Name the texts of a file's messages that are ids."""
    for message in file.message_type:
        for field in message.field:
            if field.type == TEXT and re.search(r"(^|_)ids?$", field.name):
                yield f"{file.package}.{message.name}.{field.name}"


def test_what_is_superseded_says_what_to_use() -> None:
    deprecated = {
        f"{file.package}.{message.name}.{field.name}"
        for file in contract()
        for message in file.message_type
        for field in message.field
        if field.options.deprecated
    }
    assert deprecated == {"atelier.generation.v1.Model.picture_field"}
    assert all(" Use " in f" {comments()[name]}" for name in deprecated)
