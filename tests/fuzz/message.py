"""Messages of the contract, built by walking their descriptors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct, Value

from tests.e2e.stack import BOT_ID
from tests.fuzz.access import HOOKED_ID
from tests.fuzz.known import Known
from tests.fuzz.money import AMOUNTS, money_words
from tests.fuzz.odd import MODELS, Odd

INPUT_FIELDS = (
    "prompt",
    "aspect_ratio",
    "image",
    "image_url",
    "image_size",
    "seed",
    "strength",
    "output_format",
    "guidance_scale",
    "num_images",
)
SIZES = ("square", "square_hd", "1:1", "landscape_16_9")
ADDRESSES = (
    "https://hooks.example/a",
    "https://hooks.example:0/",
    "https://hooks.example:99999/",
    "https://hooks.example./",
    "https://127.0.0.1/x",
    "https://127.1/",
    "https://[fe80::1%25eth0]/",
    "https://xn--a.example/",
    "https://a b/",
    "http:",
)
CALM_NUMBERS = (0, 1, 2, 5, 30)
LARGE = 5 << 20
"""More bytes than gRPC takes in one message."""


class Messages:
    """Draws messages of any type: half of them odd, half of them of what is usual."""

    def __init__(self, odd: Odd, known: Known) -> None:
        self._odd, self._known = odd, known
        self._is_calm = False
        self._texts: dict[str, Callable[[], str]] = {
            "job_id": lambda: odd.pick(known.jobs),
            "media_id": lambda: odd.pick(known.media),
            "link_token": lambda: odd.pick(known.links),
            "model_id": lambda: odd.pick(MODELS[:3] if self._is_calm else MODELS),
            "request_id": lambda: f"request {odd.random.randrange(400)}",
            "owner": lambda: odd.pick(("", "fuzz:1", "fuzz:2", "telegram:1")),
            "lease_token": lambda: odd.pick(known.leases or [""]),
            "queue": lambda: odd.pick(("fuzz", "fuzz-2", "Fuzz!")),
            "key": lambda: f"fuzz:{odd.random.randrange(20)}",
            "page_token": lambda: odd.pick(known.pages or known.jobs),
            "path_token": lambda: odd.pick(known.done_tokens),
            "provider": lambda: odd.pick(("", "", "kie", "other", "card", "telegram_stars")),
            "url": lambda: odd.pick(ADDRESSES),
            **money_words(odd, known),
        }

    def raw(self, kind: Descriptor) -> bytes:
        """Return the bytes of a message, one in twelve of them of none."""
        odd = self._odd
        self._is_calm = odd.chance(0.5)
        data = self.draw(kind).SerializeToString()
        if self._is_calm:
            return data
        if odd.chance(0.04):
            return odd.damaged(data)
        if odd.chance(0.02):
            return data + _deep(odd.pick((10, 50, 99, 101, 3000)))
        if odd.chance(0.001):
            return data + b"\x7a" + _varint(LARGE) + bytes(LARGE)
        return odd.data() if odd.chance(0.02) else data

    def draw(self, kind: Descriptor) -> Message:
        """Return a message whose fields are there or not."""
        if kind.full_name == "google.protobuf.Struct":
            return self._inputs()
        message: Message = GetMessageClass(kind)()
        for field in self._odd.random.sample(list(kind.fields), len(kind.fields)):
            if self._odd.chance(self._share(field)):
                self._set(message, field)
        return message

    def _share(self, field: FieldDescriptor) -> float:
        """Return how often a field is there."""
        if not self._is_calm:
            return 0.65
        return 0.3 if field.containing_oneof else 0.97

    def _set(self, message: Message, field: FieldDescriptor) -> None:
        kind = field.message_type
        if field.is_repeated and not (kind and kind.GetOptions().map_entry):
            values = getattr(message, field.name)
            for _ in range(self._odd.random.randrange(2 if self._is_calm else 20)):
                values.append(self.draw(kind) if kind else self._scalar(field))
        elif kind is None:
            setattr(message, field.name, self._scalar(field))
        elif kind.GetOptions().map_entry:
            for _ in range(self._odd.random.randrange(2 if self._is_calm else 20)):
                getattr(message, field.name)[self._odd.text()] = self._odd.text()
        else:
            getattr(message, field.name).CopyFrom(self.draw(kind))

    def _scalar(self, field: FieldDescriptor) -> Any:
        odd = self._odd
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return self._text(field.name)
            case FieldDescriptor.TYPE_BYTES:
                return odd.data(3000)
            case FieldDescriptor.TYPE_BOOL:
                return odd.chance(0.5)
            case FieldDescriptor.TYPE_INT32 | FieldDescriptor.TYPE_ENUM:
                return max(-(2**31), min(2**31 - 1, self._whole()))
            case _:
                if field.name == "amount" and (self._is_calm or odd.chance(0.3)):
                    return odd.pick(AMOUNTS)
                is_bot = field.name.endswith("bot_id") and (self._is_calm or odd.chance(0.3))
                return odd.pick((BOT_ID, HOOKED_ID)) if is_bot else self._whole()

    def _text(self, name: str) -> str:
        known = self._texts.get(name)
        if self._is_calm:
            return known() if known else ""
        return known() if known and self._odd.chance(0.8) else self._odd.text()

    def _whole(self) -> int:
        return self._odd.pick(CALM_NUMBERS) if self._is_calm else self._odd.whole()

    def _inputs(self) -> Struct:
        """Return inputs of a model, most of them nearly right."""
        odd, fields = self._odd, Struct()
        if self._is_calm:
            fields["prompt"] = f"fuzz {odd.random.randrange(50)}"
            return fields
        if odd.chance(0.5):
            fields["prompt"] = "a lighthouse"
            fields["image_size"] = odd.pick(SIZES)
            fields["output_format"] = odd.pick(("jpeg", "png"))
        for _ in range(odd.random.randrange(4)):
            name = odd.pick(INPUT_FIELDS) if odd.chance(0.8) else odd.text()
            fields.fields[name].CopyFrom(self._value())
        return fields

    def _value(self) -> Value:
        odd = self._odd
        if odd.chance(0.3):
            known = self._known
            name = odd.pick([f"upload:{known.uploads[0]}", f"media:{known.media[0]}"])
            return Value(string_value=name)
        return _value(odd.tree())


def _value(tree: Any) -> Value:
    value = Value()
    match tree:
        case None:
            value.null_value = 0  # type: ignore[assignment]
        case bool():
            value.bool_value = tree
        case int() | float():
            value.number_value = tree
        case str():
            value.string_value = tree
        case list():
            value.list_value.values.extend(map(_value, tree))
        case dict():
            for name, part in tree.items():
                value.struct_value.fields[name].CopyFrom(_value(part))
    return value


def _deep(depth: int) -> bytes:
    """Return the bytes of `inputs` (CreateJobRequest) that is nested this deep."""
    value = b"\x1a\x01x"
    for _ in range(depth):
        entry = b"\x0a\x01a" + _part(b"\x12", value)
        value = _part(b"\x2a", _part(b"\x0a", entry))
    return _part(b"\x1a", _part(b"\x0a", b"\x0a\x01a" + _part(b"\x12", value)))


def _part(tag: bytes, data: bytes) -> bytes:
    return tag + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
