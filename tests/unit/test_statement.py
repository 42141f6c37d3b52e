"""Statements as files: what they say, in both languages, and what a spreadsheet makes of them."""

from __future__ import annotations

import cProfile
import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pypdf import PdfReader

from generation_svc.domain.ledger import TransferKind
from generation_svc.domain.statement import (
    MOST_LINES,
    Period,
    Statement,
    StatementConflict,
    StatementForm,
    StatementLine,
)
from generation_svc.statement.file import write_file
from generation_svc.statement.word import Words

START = datetime(2026, 11, 1, tzinfo=UTC)
PERIOD = Period(START, START + timedelta(days=30))
MOST_CALLS = 1_500_000
"""How many calls of functions 1,000 lines take: a million. A cell for each text made it six."""
MOST_BYTES = 4 * 1024 * 1024
"""What an answer holds."""
STEPS = (
    (TransferKind.TOP_UP, 1500, 1500, "", ""),
    (TransferKind.HOLD, 11, -11, "Seedream 4.5", ""),
    (TransferKind.CAPTURE, 8, 0, "Seedream 4.5", ""),
    (TransferKind.RELEASE, 3, 3, "Seedream 4.5", ""),
    (TransferKind.GRANT, 5, -5, "", '=HYPERLINK("a","b"), for Ёлка'),
)


def statement(*, count: int = len(STEPS), **fields: Any) -> Statement:
    lines, balance = [], 120
    for n in range(count):
        kind, amount, change, title, reason = STEPS[n % len(STEPS)]
        balance += change
        time = START + timedelta(minutes=n)
        lines.append(StatementLine(time, kind, amount, change, balance, title, reason))
    made = Statement("telegram:7", PERIOD, 120, tuple(lines), PERIOD.end, **fields)
    made.check()
    return made


def rows(made: Statement) -> list[list[str]]:
    data = write_file(made, StatementForm.CSV).data
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def pages(made: Statement) -> list[str]:
    """Return the text of each page of the PDF, with plain spaces."""
    reader = PdfReader(io.BytesIO(write_file(made, StatementForm.PDF).data))
    return [page.extract_text().replace("\u00a0", " ") for page in reader.pages]


def test_a_spreadsheet_gets_a_table_whose_lines_lead_to_the_end() -> None:
    first, opening, *lines, closing = rows(statement())
    assert first == ["Time (UTC)", "Entry", "Details", "Change", "Balance"]
    assert opening[:2] + opening[3:] == ["2026-11-01 00:00:00", "Opening balance", "", "120"]
    assert [line[3:] for line in lines] == [
        ["1500", "1620"],
        ["-11", "1609"],
        ["0", "1609"],
        ["3", "1612"],
        ["-5", "1607"],
    ]
    assert closing == ["2026-12-01 00:00:00", "Closing balance", "telegram:7", "", "1607"]


def test_lines_end_and_texts_are_quoted_as_rfc_4180_says() -> None:
    data = write_file(statement(), StatementForm.CSV).data
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.endswith(b"\r\n")
    assert data.count(b"\r\n") == data.count(b"\n") == len(STEPS) + 3
    assert b'"\'=HYPERLINK(""a"",""b""), for ' in data


@pytest.mark.parametrize("sign", ["\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_wide_sign_begins_no_formula(sign: str) -> None:
    assert rows(replace(statement(count=1), owner=f"{sign}1"))[-1][2] == f"'{sign}1"


@pytest.mark.parametrize("reason", ["=1+1", "+7 900", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_what_somebody_wrote_is_no_formula(reason: str) -> None:
    made = statement(count=1)
    made = replace(made, lines=(replace(made.lines[0], reason=reason),))
    detail = rows(made)[2][2]
    assert detail == f"'{reason.strip()}"
    made = replace(made, owner=reason)
    assert rows(made)[-1][2] == f"'{reason}"


def test_a_pdf_says_it_in_english() -> None:
    [page] = pages(statement(language="en", seller="Example Studio\nhelp@example.org"))
    for text in ("Statement of credits", "Example Studio", "help@example.org", "telegram:7"):
        assert text in page
    assert "2026-11-01 – 2026-11-30" in page
    assert "+1,500" in page
    assert "−11" in page
    assert "8 · Seedream 4.5" in page
    assert "Bonus taken back" in page
    assert "Ёлка" in page


def test_a_pdf_says_it_in_russian() -> None:
    [page] = pages(statement(language="ru-RU", is_test=True))
    for text in ("Выписка по кредитам", "01.11.2026 – 30.11.2026", "Возврат неиспользованного"):
        assert text in page
    assert "+1 500" in page
    assert "тестовые кредиты" in page
    assert not re.search(r"\bчек|НДС", page, flags=re.IGNORECASE)


def test_every_page_of_a_long_one_has_its_columns_and_its_number() -> None:
    told = pages(statement(count=100, is_cut=True))
    assert len(told) == 3
    assert all("Balance" in page and f"Page {n} of 3" in page for n, page in enumerate(told, 1))
    assert "Only the latest 3,000 entries are listed." in told[0]
    assert "Closing balance" in told[-1]


def test_a_letter_that_the_font_lacks_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    made = statement(count=1)
    made = replace(made, lines=(replace(made.lines[0], reason="from 日本 🎁"),), owner="日")
    [page] = pages(made)
    assert "from �� �" in page
    assert not caplog.records


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("form", StatementForm)
def test_a_period_without_anything_says_so(form: StatementForm, language: str) -> None:
    made = statement(count=0, language=language)
    told = pages(made)[0] if form is StatementForm.PDF else rows(made)[1][2]
    assert Words(language).say("none")[:20] in told
    assert made.closing == made.opening == 120


@pytest.mark.parametrize("form", StatementForm)
def test_the_longest_one_has_room_in_an_answer(form: StatementForm) -> None:
    made = statement(count=MOST_LINES)
    long = tuple(replace(each, reason="\U0001f381" * 200, title="Ж" * 60) for each in made.lines)
    made = replace(made, lines=long)
    assert 0 < len(write_file(made, form).data) < MOST_BYTES


def test_lines_that_do_not_lead_to_the_end_are_no_statement() -> None:
    made = statement()
    with pytest.raises(StatementConflict):
        replace(made, opening=119).check()
    with pytest.raises(StatementConflict):
        replace(made, lines=made.lines[:1] + made.lines[2:]).check()


def test_a_file_is_named_after_its_days() -> None:
    assert write_file(statement(), StatementForm.CSV).name == (
        "statement-2026-11-01-2026-11-30.csv"
    )
    russian = write_file(statement(language="ru"), StatementForm.CSV)
    assert russian.name == "выписка-2026-11-01-2026-11-30.csv"


def test_a_period_that_is_no_whole_days_is_told_with_times() -> None:
    part = Period(START + timedelta(hours=9), START + timedelta(hours=10))
    assert Words("en").period(part) == "2026-11-01 09:00 – 2026-11-01 10:00"
    assert Words("en").period(Period(START, START + timedelta(days=1))) == "2026-11-01"


def test_every_kind_of_transfer_of_an_owner_has_words() -> None:
    house = {TransferKind.PROVIDER_COST, TransferKind.STARS_IN, TransferKind.STARS_OUT}
    for kind in set(TransferKind) - house:
        line = StatementLine(START, kind, 1, 1, 1)
        assert Words("en").entry(line) != "Other"


def test_the_longest_owner_and_every_line_of_the_seller_are_there_without_entries() -> None:
    owner = "владелец:" + "ы" * 119
    made = replace(statement(count=0, language="ru", seller="Пример\n\nул. Ёлочная"), owner=owner)
    [page] = pages(made)
    assert owner in "".join(page.split())
    for words in ("Пример", "ул. Ёлочная", "не было ни поступлений", "120"):
        assert words in page


def test_the_largest_numbers_are_whole_and_the_details_give_way() -> None:
    most = 10**15
    steps = ((most - 120, most), (-most, 0), (most, most))
    lines = [
        StatementLine(START, TransferKind.TOP_UP, 1, change, balance, "Ж" * 60)
        for change, balance in steps
    ]
    [page] = pages(replace(statement(count=0), lines=tuple(lines)))
    assert re.findall(r"Ж…\s*(\S+)\s+(\S+)", page) == [
        ("+999,999,999,999,880", "1,000,000,000,000,000"),
        ("−1,000,000,000,000,000", "0"),
        ("+1,000,000,000,000,000", "1,000,000,000,000,000"),
    ]


@pytest.mark.parametrize(("opening", "size"), [(120, 13), (10**15, 11)])
def test_sums_are_written_so_small_that_none_runs_into_the_next(opening: int, size: int) -> None:
    made = replace(statement(count=0), opening=opening)
    found: list[float] = []

    def visit(text: str, _: Any, __: Any, ___: Any, points: float) -> None:
        if text.strip() == f"{opening:,}":
            found.append(points)

    data = write_file(made, StatementForm.PDF).data
    PdfReader(io.BytesIO(data)).pages[0].extract_text(visitor_text=visit)
    assert found == [size, size]


def test_a_thousand_lines_are_drawn_with_few_calls() -> None:
    write_file(statement(count=1), StatementForm.PDF)
    with cProfile.Profile() as profile:
        write_file(statement(count=1000), StatementForm.PDF)
    assert sum(each.callcount for each in profile.getstats()) < MOST_CALLS
