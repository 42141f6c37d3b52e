"""Writes a statement as a PDF of A4 pages."""

import logging
from bisect import bisect_left
from collections.abc import Sequence
from importlib.resources import as_file, files

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos

from generation_svc.domain.statement import Statement, StatementLine
from generation_svc.statement.word import Words

_FONT = "Roboto"
_FONT_FILE = "Roboto[wdth,wght].ttf"
"""In the package fontpkg-roboto, under the SIL Open Font License 1.1."""
_MARGIN = 18
_WIDTH = 210 - 2 * _MARGIN
_COLUMNS = (("time", 30), ("entry", 46), ("detail", 60), ("change", 19), ("balance", 19))
_ROW, _SMALL, _TEXT, _LARGE = 6.2, 8, 9, 18
_GREY, _BLACK, _RULE = 110, 20, 215
_MOST_LETTERS = 256
"""More than have room in any line."""
_MISSING = "\ufffd"

# It tells of each glyph that is dropped when a font is cut down to what is used.
logging.getLogger("fontTools").setLevel(logging.WARNING)


def write_pdf(statement: Statement) -> bytes:
    """Return a statement as a PDF document."""
    page = _Page(statement)
    page.write_head()
    page.write_lines()
    page.write_end()
    return bytes(page.output())


class _Page(FPDF):
    """The pages of one statement."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(format="A4")
        self._statement, self._words = statement, Words(statement.language)
        self._is_in_table = False
        self._add_font()
        self.set_margin(_MARGIN)
        self.set_auto_page_break(auto=True, margin=_MARGIN + 6)
        self.set_title(self._words.say("title"))
        self.set_lang("ru" if self._words.is_russian else "en")
        self.set_creation_date(statement.time)
        self.add_page()

    def _add_font(self) -> None:
        with as_file(files("fontpkg_roboto") / "files" / _FONT_FILE) as path:
            self.add_font(_FONT, fname=path)
            self.add_font(_FONT, "B", fname=path, variations={"wght": 600.0})
        self._letters = frozenset(self.fonts[_FONT.lower()].cmap)  # type: ignore[union-attr]

    def header(self) -> None:
        """Repeat the names of the columns on every further page."""
        if self._is_in_table:
            self._write_columns()

    def footer(self) -> None:
        """Number the page."""
        self.set_y(-_MARGIN)
        self._style(_SMALL, grey=_GREY)
        number = f"{self._words.say('page')} {self.page_no()} {self._words.say('of')} {{nb}}"
        self.cell(0, 5, number)

    def write_head(self) -> None:
        """Write whose statement it is, and what it comes to."""
        self._style(_LARGE, is_bold=True)
        self._row_of_text(self._words.say("title"), height=11)
        if self._statement.seller:
            self._style(_TEXT, grey=_GREY)
            self._paragraph(self._statement.seller)
        self.ln(3)
        for name, value in self._facts():
            self._style(_TEXT, grey=_GREY)
            self.cell(42, 5.6, self._words.say(name))
            self._style(_TEXT)
            self._row_of_text(value, height=5.6, width=_WIDTH - 42)
        self.ln(3)
        self._write_sums()
        self.ln(4)
        self._write_notes()

    def write_lines(self) -> None:
        """Write the table of all lines."""
        if not self._statement.lines:
            return
        self._write_columns()
        self._is_in_table = True
        for line in self._statement.lines:
            self._write_line(line)
        self._is_in_table = False

    def write_end(self) -> None:
        """Write the balance at the end once more, where the lines lead to it."""
        if not self._statement.lines:
            return
        self._style(_TEXT, is_bold=True)
        balance = self._words.number(self._statement.closing)
        self.cell(_WIDTH - 40, _ROW + 1, self._words.say("closing"))
        self.cell(40, _ROW + 1, balance, align=Align.R, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _facts(self) -> Sequence[tuple[str, str]]:
        made = self._words.moment(self._statement.time)
        period = self._words.period(self._statement.period)
        return ("account", self._statement.owner), ("period", period), ("made", made)

    def _write_sums(self) -> None:
        """Write the opening balance, what came and went, and the closing balance side by side."""
        told, number = self._statement, self._words.number
        values = {
            "opening": number(told.opening),
            "added": number(told.added, is_signed=True),
            "taken": number(-told.taken),
            "closing": number(told.closing),
        }
        width = _WIDTH / len(values)
        self._style(_SMALL, grey=_GREY)
        for name in values:
            self.cell(width, 5, self._words.say(name))
        self.ln(5)
        self._style(13, is_bold=True)
        for value in values.values():
            self.cell(width, 7, value)
        self.ln(7)

    def _write_notes(self) -> None:
        self._style(_SMALL, grey=_GREY)
        for note in self._words.notes(self._statement):
            self._paragraph(note)
        self.ln(2)

    def _write_columns(self) -> None:
        self._style(_SMALL, grey=_GREY)
        self._cells([self._words.say(name) for name, _ in _COLUMNS])

    def _write_line(self, line: StatementLine) -> None:
        self._style(_TEXT)
        words = self._words
        change, balance = words.number(line.change, is_signed=True), words.number(line.balance)
        self._cells(
            [words.moment(line.time), words.entry(line), words.detail(line), change, balance]
        )

    def _cells(self, texts: Sequence[str]) -> None:
        # Before the first cell, since a page that breaks within a row would tear it.
        if self.will_page_break(_ROW):
            self.add_page()
            self._style(_TEXT)
        for (name, width), text in zip(_COLUMNS, texts, strict=True):
            align = Align.R if name in {"change", "balance"} else Align.L
            self.cell(width, _ROW, self._fitted(text, width=width), align=align)
        self.ln(_ROW)
        self.set_draw_color(_RULE)
        self.line(_MARGIN, self.get_y(), _MARGIN + _WIDTH, self.get_y())

    def _row_of_text(self, text: str, *, height: float, width: float = _WIDTH) -> None:
        fitted = self._fitted(text, width=width)
        self.cell(width, height, fitted, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _paragraph(self, text: str) -> None:
        written = "\n".join(self._printable(line) for line in text.splitlines())
        self.multi_cell(_WIDTH, 4.4, written, align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _fitted(self, text: str, *, width: float) -> str:
        """Return as much of a text as has room in a cell."""
        room, written = width - 2 * self.c_margin, self._printable(text[:_MOST_LETTERS])
        if self.get_string_width(written) <= room:
            return written

        def is_wide(count: int) -> bool:
            return self.get_string_width(f"{written[:count]}…") > room

        most = bisect_left(range(len(written)), True, key=is_wide)
        return f"{written[: max(0, most - 1)].rstrip()}…"

    def _printable(self, text: str) -> str:
        """Return a text with a mark for each letter that the font does not have."""
        return "".join(each if ord(each) in self._letters else _MISSING for each in text)

    def _style(self, size: int, *, is_bold: bool = False, grey: int = _BLACK) -> None:
        self.set_font(_FONT, "B" if is_bold else "", size)
        self.set_text_color(grey)
