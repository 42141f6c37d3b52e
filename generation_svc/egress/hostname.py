"""Whether a host may be one on the internet, before its name is looked up.

What it refuses can never lead there: names that mean this machine or this network by definition
(RFC 6761, 6762, 7686, 8375, 9476, ICANN's `.internal`), IPv4 addresses in the forms that resolvers
take and people mistake (`127.1`, `0x7f.1`, `0177.0.0.1`), and what DNS has no place for.
"""

import re

import idna

from generation_svc.egress.host import is_address, is_public

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
"""The last label of what is an IPv4 address in some form, or nothing (WHATWG URL, §3.5)."""
_LONGEST_NAME = 253
_NOT_ON_INTERNET = frozenset(
    {"localhost", "local", "internal", "invalid", "test", "onion", "alt", "arpa"}
)
"""The last labels of names that are never those of a public host."""


def may_be_public(host: str) -> bool:
    """Return whether a host, in ASCII, is a public address or a name that may stand for one."""
    if is_address(host):
        return "%" not in host and is_public(host)  # a zone is a link of this machine
    return _is_public_name(host)


def _is_public_name(name: str) -> bool:
    labels = name.split(".")
    return (
        len(labels) > 1
        and len(name) <= _LONGEST_NAME
        and all(_is_label(label) for label in labels)
        and not _NUMBER.fullmatch(labels[-1])
        and labels[-1].lower() not in _NOT_ON_INTERNET
    )


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    if not label.lower().startswith("xn--"):
        return True
    try:
        idna.ulabel(label)
    except idna.IDNAError:
        return False
    return True
