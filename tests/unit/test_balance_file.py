"""The file with balances of an earlier bot, in all the shapes in which people save one."""

from __future__ import annotations

from pathlib import Path

import pytest

from generation_svc.domain.imported_balance import ImportedBalance
from generation_svc.wallet.balance_file import (
    MAX_FILE_BYTES,
    BalanceFile,
    BalanceFileError,
    read_balances,
)

HEADER = "source,user_id,amount,currency"
SEVEN = ImportedBalance("old", "7", "1.50", "RUB")


def read(
    tmp_path: Path, data: str | bytes, *, name: str = "b.csv", source: str = ""
) -> BalanceFile:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_balances(path, source=source)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\nold,7,1.50,RUB\n",
        f"{HEADER}\nold,7,1.50,RUB",
        f"\ufeff{HEADER}\r\nold,7,1.50,RUB\r\n",
        '"source","user_id","amount","currency"\n"old","7","1.50","RUB"\n',
        f" {HEADER} \nold , 7, 1.50 ,RUB\n",
        "owner,currency,amount,user_id,source\n,RUB,1.50,7,old\n",
    ],
    ids=["plain", "no-last-newline", "bom-and-crlf", "quotes", "spaces", "another-order"],
)
def test_a_row_is_read_from_every_shape_of_csv(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text)
    assert (found.balances, found.rejects) == ({2: SEVEN}, {})


def test_empty_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    found = read(tmp_path, f"\n{HEADER}\n\n ,,,\nold,7,1.50,RUB\n\nold,8,1e9,RUB\n")
    assert list(found.balances) == [5, 7]


def test_numbers_of_json_lines_keep_their_digits(tmp_path: Path) -> None:
    text = (
        '{"source": "old", "user_id": 7, "amount": 1.50, "currency": "RUB"}\r\n\n'
        '{"source": "old", "user_id": "8", "amount": NaN, "currency": "RUB", "owner": "web:8"}\n'
        '{"source": "old", "user_id": 9, "amount": 1e9, "currency": "RUB"}\n'
    )
    found = read(tmp_path, text, name="b.jsonl")
    eight = ImportedBalance("old", "8", "NaN", "RUB", "web:8")
    nine = ImportedBalance("old", "9", "1e9", "RUB")
    assert (found.balances, found.rejects) == ({1: SEVEN, 3: eight, 4: nine}, {})
    assert read(tmp_path, text, name="b.txt").balances == found.balances


def test_a_source_is_given_where_a_row_names_none(tmp_path: Path) -> None:
    found = read(tmp_path, "user_id,amount,currency\n7,1.50,RUB\n", source="old")
    assert found.balances == {2: SEVEN}
    found = read(tmp_path, f"{HEADER}\n,7,1.50,RUB\nelse,7,1,RUB\n", source="old")
    assert [each.source for each in found.balances.values()] == ["old", "else"]


def test_what_is_wrong_with_a_row_is_said_with_its_line(tmp_path: Path) -> None:
    rows = {
        "old,7,1.50,RUB": None,
        "old,7,9,RUB": "The same user of this source is in line 2.",
        "old,8,1": "It has 3 fields, and the header has 4.",
        "old,8,1,5,RUB": "It has 5 fields, and the header has 4.",
        "old,8,1,USD": "The rate is for RUB, and this is USD.",
        ",8,1,RUB": "The source is empty.",
        "old,,1,RUB": "The user_id is empty.",
        f"old,{'8' * 65},1,RUB": "The user_id is longer than 64 characters.",
        "old,8\0,1,RUB": "The user_id has a character that cannot be printed.",
    }
    found = read(tmp_path, "\n".join([HEADER, *rows]))
    assert found.balances == {2: SEVEN}
    assert found.rejects == {line: said for line, said in enumerate(rows.values(), 2) if said}


def test_what_is_wrong_with_a_line_of_json_is_said(tmp_path: Path) -> None:
    lines = {
        "{": "It is not JSON.",
        "[" * 100_000: "It is not JSON.",
        "7": "It is no JSON object.",
        '{"source": "old", "user_id": "7", "sum": 1}': "The member 'sum' is unknown.",
        '{"source": "old", "user_id": [7]}': "The user_id is neither a text nor a number.",
        '{"source": "old", "user_id": "\\ud800"}': (
            "The user_id has a character that cannot be printed."
        ),
    }
    found = read(tmp_path, "\n".join(lines), name="b.jsonl")
    assert found.rejects == dict(enumerate(lines.values(), 1))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "There is no balance in it."),
        (HEADER, "There is no balance in it."),
        (
            f"{HEADER}\nold,7,1,RUB\ncaf\u00e9,8,1,RUB".encode("latin-1"),
            "Line 3 is not UTF-8 (byte 0xe9); save the file as UTF-8.",
        ),
        (HEADER.encode("utf-16"), "Line 1 is not UTF-8 (byte 0xff); save the file as UTF-8."),
        (
            f"{HEADER},sum\n",
            "The column 'sum' is unknown; the header is source,user_id,amount,currency,owner,"
            " with commas, and owner may be left out.",
        ),
        (
            "source;user_id",
            "The column 'source;user_id' is unknown; the header is"
            " source,user_id,amount,currency,owner, with commas, and owner may be left out.",
        ),
        ("source,user_id,currency\n", "The column amount is missing."),
        ("user_id,amount,currency\n", "The column source is missing (or --source)."),
        (f"{HEADER},source\n", "A column is there twice."),
        (f'{HEADER}\n"old,7,1,RUB\n', "Line 2 is not CSV: unexpected end of data."),
        (
            f"{HEADER}\n{'x' * 200_000}",
            "Line 2 is not CSV: field larger than field limit (131072).",
        ),
        (f"{HEADER}\n" + "o,1,1,R\n" * 200_001, "It has more than 200000 rows; split it."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence(
    tmp_path: Path, data: str | bytes, sentence: str
) -> None:
    with pytest.raises(BalanceFileError) as refused:
        read(tmp_path, data)
    assert str(refused.value) == sentence


def test_of_a_huge_file_no_more_is_read_than_it_may_have(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(BalanceFileError, match="larger than 32 MiB; split it"):
        read_balances(path)
    assert MAX_FILE_BYTES == 32 << 20
