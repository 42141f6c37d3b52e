"""JSON as KIE's server writes it: compact, in UTF-8, objects in the order of a Java HashMap.

The order shows in `param`: every recorded one has its keys by hash bucket, so a request with
`prompt, image_size` comes back as `image_size, prompt`.
"""

import json
from collections.abc import Mapping
from typing import Any


def encode(value: Any) -> str:
    """Return compact JSON with letters of every script as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encode_param(model: str, fields: Mapping[str, Any], callback_url: str | None) -> str:
    """Return `param`: the order as a JSON string in which the input is encoded once more."""
    order = {"input": encode(hash_ordered(fields)), "callBackUrl": callback_url, "model": model}
    return encode({key: value for key, value in order.items() if value is not None})


def hash_ordered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same fields in the order in which a Java HashMap lists them."""
    buckets = 16
    while len(fields) > buckets * 3 / 4:
        buckets *= 2
    return {name: fields[name] for name in sorted(fields, key=lambda n: _hash(n) & (buckets - 1))}


def _hash(text: str) -> int:
    """Return `String.hashCode` with its high half folded in, as HashMap spreads it."""
    value = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        value = (value * 31 + int.from_bytes(units[at : at + 2])) & 0xFFFFFFFF
    return value ^ (value >> 16)
