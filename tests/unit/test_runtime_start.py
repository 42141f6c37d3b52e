"""While a process imports, nobody looks for garbage; what was imported is never looked at."""

import gc
from collections.abc import Iterator

import pytest

from runtime.start import imports_uncollected


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_the_collector_rests_in_the_block_and_works_after_it() -> None:
    gc.unfreeze()
    with imports_uncollected():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(kept)
    assert not any(each is kept for each in gc.get_objects())


def test_an_import_that_fails_leaves_the_collector_at_work() -> None:
    with pytest.raises(ImportError), imports_uncollected():
        raise ImportError
    assert gc.isenabled()
