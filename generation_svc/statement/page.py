"""A4 pages of text that every document about money is written on."""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import as_file, files
from itertools import accumulate

from fpdf import FPDF
from fpdf.enums import Align, TextMode, XPos, YPos

from generation_svc.statement.word import Words

MARGIN = 18
WIDTH = 210 - 2 * MARGIN
SMALL, TEXT, LARGE = 8, 9, 18
GREY, BLACK = 110, 20
_RULE, _RULE_WIDTH = 215, 0.2
_FONT = "Roboto"
_FONT_FILE = "Roboto[wdth,wght].ttf"
"""In the package fontpkg-roboto, under the SIL Open Font License 1.1."""
_STROKE = 0.025
"""How thick the outline of bold letters is, in parts of their size."""
_NAME_WIDTH = 42
_MOST_LETTERS = 256
"""More than have room in any line."""
_MISSING = "\ufffd"

# It tells of each glyph that is dropped when a font is cut down to what is used.
logging.getLogger("fontTools").setLevel(logging.WARNING)


class Page(FPDF):
    """The pages of one document, in a language."""

    def __init__(self, words: Words, *, title: str, time: datetime) -> None:
        super().__init__(format="A4")
        self.words = words
        self._widths: dict[str, float] = {}
        self._add_font()
        self.set_margin(MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN + 6)
        self.set_title(title)
        self.set_lang("ru" if words.is_russian else "en")
        self.set_creation_date(time)
        self.add_page()

    def _add_font(self) -> None:
        with as_file(files("fontpkg_roboto") / "files" / _FONT_FILE) as path:
            self.add_font(_FONT, fname=path)
        self._letters = frozenset(self.fonts[_FONT.lower()].cmap)  # type: ignore[union-attr]

    def footer(self) -> None:
        """Number the page."""
        self.set_y(-MARGIN)
        self.style(SMALL, grey=GREY)
        number = f"{self.words.say('page')} {self.page_no()} {self.words.say('of')} {{nb}}"
        self.cell(0, 5, number)

    def write_title(self, title: str, *, seller: str) -> None:
        """Write what the document is, and who sells."""
        self.style(LARGE, is_bold=True)
        self.cell(WIDTH, 11, self.fitted(title, width=WIDTH), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        if seller:
            self.style(TEXT, grey=GREY)
            self.paragraph(seller)
        self.ln(3)

    def write_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Write names with what they stand for, each in as many lines as it needs."""
        for name, value in facts:
            self.style(TEXT, grey=GREY)
            self.cell(_NAME_WIDTH, 5.6, name)
            self.style(TEXT)
            self._lines(value, width=WIDTH - _NAME_WIDTH, height=5.6)

    def paragraph(self, text: str) -> None:
        """Write a text of some lines over the whole width."""
        self._lines(text, width=WIDTH, height=4.4)

    def width_of(self, text: str) -> float:
        """Return how wide a text is in the size that is written in, letter by letter."""
        return sum(map(self._width, text)) * self.font_size

    def fitted(self, text: str, *, width: float) -> str:
        """Return as much of a text as has room in a cell."""
        room, written = width - 2 * self.c_margin, self._printable(text[:_MOST_LETTERS])
        if self.width_of(written) <= room:
            return written
        ends = list(accumulate(map(self._width, written)))
        most = bisect_right(ends, room / self.font_size - self._width("…"))
        return f"{written[:most].rstrip()}…"

    def style(self, size: int, *, is_bold: bool = False, grey: int = BLACK) -> None:
        """Write in this size and colour from now on.

        Bold letters are those of the one font with a thicker outline: to make a font of its own
        of the variable one takes longer than to write a document.
        """
        self.set_font(_FONT, size=size)
        self.set_text_color(grey)
        self.text_mode = TextMode.FILL_STROKE if is_bold else TextMode.FILL
        self.set_line_width(_STROKE * self.font_size if is_bold else _RULE_WIDTH)
        self.set_draw_color(grey if is_bold else _RULE)

    def rule(self) -> None:
        """Draw a thin line over the whole width."""
        self.line(MARGIN, self.get_y(), MARGIN + WIDTH, self.get_y())

    def _width(self, letter: str) -> float:
        """Return how wide a letter is, as a part of the size."""
        known = self._widths.get(letter)
        if known is None:
            known = self._widths[letter] = self.get_string_width(letter) / self.font_size
        return known

    def _lines(self, text: str, *, width: float, height: float) -> None:
        written = "\n".join(self._printable(line) for line in text.splitlines())
        self.multi_cell(width, height, written, align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _printable(self, text: str) -> str:
        """Return a text with a mark for each letter that the font does not have."""
        return "".join(each if ord(each) in self._letters else _MISSING for each in text)
