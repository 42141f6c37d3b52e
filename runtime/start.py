"""How a process imports what it is made of: out of the sight of the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imports_uncollected() -> Iterator[None]:
    """Import in the block without looking for garbage, and never look at what is there then.

    Imports make next to no garbage, and what they make stays until the process ends. To look at it
    all takes a tenth of the imports' time, and later holds the loop up at every full collection.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
