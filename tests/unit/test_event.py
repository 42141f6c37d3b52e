"""The events of a job are documented as they are."""

import re
from pathlib import Path

from generation_svc.domain.event import DETAILS, REVISIONS, JobEventKind

EVENTS = (Path(__file__).parents[2] / "docs/events.md").read_text()
_ROW = re.compile(r"^\| `(\w+)` \| (yes|) \| (.+) \| (.*) \|$", flags=re.MULTILINE)


def test_the_table_is_that_of_the_code() -> None:
    told = {
        kind: (bool(revision), tuple(re.findall(r"`(\w+)`", detail)))
        for kind, revision, _, detail in _ROW.findall(EVENTS)
    }
    assert told == {str(kind): (kind in REVISIONS, DETAILS[kind]) for kind in JobEventKind}


def test_every_key_of_a_detail_is_explained() -> None:
    _, _, keys = EVENTS.partition("| key |")
    explained = {
        key
        for row in re.findall(r"^\| (`.*?) \|", keys, flags=re.MULTILINE)
        for key in re.findall(r"`(\w+)`", row)
    }
    assert explained == {key for keys in DETAILS.values() for key in keys}
