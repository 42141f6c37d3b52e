"""Writes a statement as a PDF of A4 pages."""

from collections.abc import Sequence

from fpdf.enums import Align, XPos, YPos

from generation_svc.domain.statement import Statement, StatementLine
from generation_svc.statement.page import GREY, MARGIN, SMALL, TEXT, WIDTH, Page
from generation_svc.statement.word import Words

_COLUMNS = (("time", 30), ("entry", 46), ("detail", 60), ("change", 19), ("balance", 19))
_ROW, _RULE = 6.2, 215


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
        self.style(13, is_bold=True)
        for value in values.values():
            self.cell(width, 7, value)
        self.ln(7)

    def _write_notes(self) -> None:
        self.style(SMALL, grey=GREY)
        for note in self.words.notes(self._statement):
            self.paragraph(note)
        self.ln(2)

    def _write_columns(self) -> None:
        self.style(SMALL, grey=GREY)
        self._cells([self.words.say(name) for name, _ in _COLUMNS])

    def _write_line(self, line: StatementLine) -> None:
        self.style(TEXT)
        words = self.words
        change, balance = words.number(line.change, is_signed=True), words.number(line.balance)
        self._cells(
            [words.moment(line.time), words.entry(line), words.detail(line), change, balance]
        )

    def _cells(self, texts: Sequence[str]) -> None:
        # Before the first cell, since a page that breaks within a row would tear it.
        if self.will_page_break(_ROW):
            self.add_page()
            self.style(TEXT)
        for (name, width), text in zip(_COLUMNS, texts, strict=True):
            align = Align.R if name in {"change", "balance"} else Align.L
            self.cell(width, _ROW, self.fitted(text, width=width), align=align)
        self.ln(_ROW)
        self.set_draw_color(_RULE)
        self.line(MARGIN, self.get_y(), MARGIN + WIDTH, self.get_y())
