"""The methods of the Bot API, one module per group."""

from sandbox.telegram.call import Method
from sandbox.telegram.error import method_not_found
from sandbox.telegram.method import answer, edit, fetch, media, payment, profile, send, webhook

METHODS: dict[str, Method] = {
    **answer.METHODS,
    **edit.METHODS,
    **fetch.METHODS,
    **media.METHODS,
    **payment.METHODS,
    **profile.METHODS,
    **send.METHODS,
    **webhook.METHODS,
}
"""Every method by its name."""

_NAMES = {name.lower(): name for name in METHODS}


def find_method(name: str) -> tuple[str, Method]:
    """Return a method and its proper name, whatever the case it is written in."""
    proper = _NAMES.get(name.lower())
    if proper is None:
        raise method_not_found()
    return proper, METHODS[proper]
