"""Writes a statement as a PDF of A4 pages."""

from collections.abc import Mapping, Sequence

from fpdf.enums import Align, XPos, YPos

from generation_svc.domain.statement import Statement, StatementLine
from generation_svc.statement.page import GREY, MARGIN, SMALL, TEXT, WIDTH, Page
from generation_svc.statement.word import Words

_ROW = 6.2
_TIME, _ENTRY, _NUMBER = 30.0, 46.0, 19.0
"""The widths of columns; a number is never cut off, so a long one takes from the details."""
_NUMBERS = frozenset({"change", "balance"})
_SUM_SIZES = (13, 11, 9)
_BASELINE = 0.3
"""How far letters of a row stand below its middle, as fpdf2 has it, in parts of their size."""


def write_pdf(statement: Statement) -> bytes:
    """Return a statement as a PDF document."""
    page = _StatementPage(statement)
    page.write_head()
    page.write_lines()
    page.write_end()
    return bytes(page.output())


class _StatementPage(Page):
    """The pages of one statement."""

    def __init__(self, statement: Statement) -> None:
        self._statement, self._is_in_table = statement, False
        words = Words(statement.language)
        super().__init__(words, title=words.say("title"), time=statement.time)
        self._columns = self._measured()

    def header(self) -> None:
        """Repeat the names of the columns on every further page."""
        if self._is_in_table:
            self._write_columns()

    def write_head(self) -> None:
        """Write whose statement it is, and what it comes to."""
        self.write_title(self.words.say("title"), seller=self._statement.seller)
        self.write_facts([(self.words.say(name), value) for name, value in self._facts()])
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
        self.style(TEXT)
        for line in self._statement.lines:
            self._write_line(line)
        self._is_in_table = False

    def write_end(self) -> None:
        """Write the balance at the end once more, where the lines lead to it."""
        if not self._statement.lines:
            return
        self.style(TEXT, is_bold=True)
        balance = self.words.number(self._statement.closing)
        self.cell(WIDTH - 40, _ROW + 1, self.words.say("closing"))
        self.cell(40, _ROW + 1, balance, align=Align.R, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _facts(self) -> Sequence[tuple[str, str]]:
        made = self.words.moment(self._statement.time)
        period = self.words.period(self._statement.period)
        return ("account", self._statement.owner), ("period", period), ("made", made)

    def _write_sums(self) -> None:
        """Write the opening balance, what came and went, and the closing balance side by side."""
        told, number = self._statement, self.words.number
        values = {
            "opening": number(told.opening),
            "added": number(told.added, is_signed=True),
            "taken": number(-told.taken),
            "closing": number(told.closing),
        }
        width = WIDTH / len(values)
        self.style(SMALL, grey=GREY)
        for name in values:
            self.cell(width, 5, self.words.say(name))
        self.ln(5)
        self._style_sums(list(values.values()), width=width)
        for value in values.values():
            self.cell(width, 7, value)
        self.ln(7)

    def _style_sums(self, values: Sequence[str], *, width: float) -> None:
        """Take the largest letters in which none of the numbers runs into the next one."""
        for size in _SUM_SIZES:
            self.style(size, is_bold=True)
            if all(self.width_of(value) <= width - 2 * self.c_margin for value in values):
                return

    def _write_notes(self) -> None:
        self.style(SMALL, grey=GREY)
        for note in self.words.notes(self._statement):
            self.paragraph(note)
        self.ln(2)

    def _measured(self) -> Mapping[str, float]:
        """Return the columns from left to right with their widths."""
        told, number = self._statement.lines, self.words.number
        self.style(TEXT)
        change = self._number_width([number(each.change, is_signed=True) for each in told])
        balance = self._number_width([number(each.balance) for each in told])
        detail = WIDTH - _TIME - _ENTRY - change - balance
        return {
            "time": _TIME,
            "entry": _ENTRY,
            "detail": detail,
            "change": change,
            "balance": balance,
        }

    def _number_width(self, numbers: Sequence[str]) -> float:
        widest = max(map(self.width_of, numbers), default=0.0)
        return max(_NUMBER, widest + 2 * self.c_margin)

    def _write_columns(self) -> None:
        self.style(SMALL, grey=GREY)
        self._write_row([self.words.say(name) for name in self._columns])

    def _write_line(self, line: StatementLine) -> None:
        # Before the first cell, since a page that breaks within a row would tear it.
        if self.will_page_break(_ROW):
            self.add_page()
            self.style(TEXT)
        words = self.words
        change, balance = words.number(line.change, is_signed=True), words.number(line.balance)
        self._write_row(
            [words.moment(line.time), words.entry(line), words.detail(line), change, balance]
        )

    def _write_row(self, texts: Sequence[str]) -> None:
        """Write a row where it stands: a cell for each text would take three times as long."""
        left, base = float(MARGIN), self.get_y() + _ROW / 2 + _BASELINE * self.font_size
        for (name, width), text in zip(self._columns.items(), texts, strict=True):
            if name in _NUMBERS:
                self.text(left + width - self.c_margin - self.width_of(text), base, text)
            else:
                self.text(left + self.c_margin, base, self.fitted(text, width=width))
            left += width
        self.ln(_ROW)
        self.rule()
