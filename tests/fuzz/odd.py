"""Values that nobody should send, drawn from a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")
MODELS = (
    "z-image",
    "qwen/text-to-image",
    "google/imagen4",
    "qwen/image-to-image",
    "qwen/image-edit",
    "no/model",
)
"""Models of which all but the third are free, and the last one is not there."""
ABSENT_ID = "0198c0de-0000-7000-8000-000000000000"
WHOLE = (0, 1, -1, 2, 7, 100, 2**31 - 1, -(2**31), 2**32, 2**53 + 1, 2**62, 2**63 - 1, -(2**63))
REAL = (0.0, -0.0, 0.1, 1e308, -1e308, 5e-324, 2.0**53, 2.0**63, math.nan, math.inf, -math.inf)
TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "\ufeff",
    "\u202e\u2066",
    "é" * 40,
    "👩‍👩‍👧‍👦",
    "<b>&amp;</i>",
    "*_`[",
    "'; DROP TABLE job; --",
    "%s%n{0}${x}",
    "../../etc/passwd",
    "https://[",
    "https://user:secret@127.0.0.1/a.png",
    "http://169.254.169.254/latest",
    "data:image/png;base64,AAAA",
    "upload:",
    f"upload:{ABSENT_ID}",
    f"media:{ABSENT_ID}",
    ABSENT_ID,
    "-1",
    "NaN",
    "1:1",
    "/start",
    "/start@nobody " + "x" * 100,
)
PLANES = ((0, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF))


class Odd:
    """A source of odd values; the same seed gives the same ones."""

    def __init__(self, seed: int | str) -> None:
        self.random = random.Random(seed)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, values: Sequence[_T]) -> _T:
        return self.random.choice(values)

    def text(self) -> str:
        """Return a text of any valid characters; one in fifty is long."""
        if self.chance(0.5):
            return self.pick(TEXTS)
        length = self.random.randrange(5000 if self.chance(0.04) else 30)
        low, high = self.pick(PLANES)
        return "".join(chr(self.random.randint(low, high)) for _ in range(length))

    def whole(self) -> int:
        return self.pick(WHOLE) if self.chance(0.7) else self.random.getrandbits(64) - 2**63

    def real(self) -> float:
        return self.pick(REAL) if self.chance(0.7) else self.random.uniform(-1e6, 1e6)

    def data(self, most: int = 300) -> bytes:
        return self.random.randbytes(self.random.randrange(most))

    def scalar(self, *, is_json: bool = False) -> Any:
        """Return a value without parts; JSON knows no NaN."""
        kinds: list[Callable[[], Any]] = [self.text, self.whole, lambda: None, lambda: True]
        kinds.append(lambda: 1.5 if is_json else self.real())
        return self.pick(kinds)()

    def tree(self, depth: int = 4, *, is_json: bool = False) -> Any:
        """Return a document."""
        if depth == 0 or self.chance(0.5):
            return self.scalar(is_json=is_json)
        parts = [self.tree(depth - 1, is_json=is_json) for _ in range(self.random.randrange(4))]
        return {self.text(): part for part in parts} if self.chance(0.6) else parts

    def damaged(self, data: bytes) -> bytes:
        """Return bytes of which some are others, missing or more."""
        raw = bytearray(data)
        for _ in range(self.random.randint(1, 4)):
            place = self.random.randrange(len(raw) + 1)
            match self.random.randrange(4):
                case 0:
                    raw[place : place + 1] = self.random.randbytes(1)
                case 1:
                    del raw[place : place + self.random.randint(1, 9)]
                case 2:
                    raw[place:place] = b"\xff\xfe\xed\xa0\x80"
                case _:
                    raw[place:place] = self.random.randbytes(self.random.randrange(20))
        return bytes(raw)
