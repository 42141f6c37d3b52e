"""Bytes of any length that take no room."""

from __future__ import annotations

import hashlib
import random


class LongFile:
    """As many bytes as one likes, made when they are asked for."""

    _block = random.Random(9).randbytes(65_521)

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        at = start % len(self._block)
        rounds = (at + stop - start) // len(self._block) + 1
        return (self._block * rounds)[at : at + stop - start]

    def digest(self, first: int) -> str:
        """Return the SHA-256 of the bytes from one on."""
        digest = hashlib.sha256()
        for start in range(first, self._size, 1 << 20):
            digest.update(self[start : min(start + (1 << 20), self._size)])
        return digest.hexdigest()
