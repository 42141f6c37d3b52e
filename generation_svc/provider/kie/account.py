"""Parses the operator's list of KIE accounts: `name:key`, one after the other."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_KEY = re.compile(r"[!-~]+")
_BETWEEN = re.compile(r"[,\s]+")


def parse_accounts(text: str) -> Mapping[str, str]:
    """Return the keys of the accounts by name, in their order; commas or lines lie in between.

    Raises ValueError with what is wrong, which never quotes a key.
    """
    keys: dict[str, str] = {}
    for number, entry in enumerate(filter(None, _BETWEEN.split(text)), 1):
        name, _, key = entry.partition(":")
        if not _NAME.fullmatch(name) or not key:
            raise ValueError(
                f"entry {number} is not name:key; a name has up to 32 of a-z, 0-9 and hyphens"
            )
        if not _KEY.fullmatch(key):
            raise ValueError(f"the key of {name!r} must be printable ASCII")
        if name in keys:
            raise ValueError(f"the name {name!r} is used twice")
        if key in keys.values():
            raise ValueError(f"the key of {name!r} is that of another account, too")
        keys[name] = key
    if not keys:
        raise ValueError("it names no account")
    return keys
