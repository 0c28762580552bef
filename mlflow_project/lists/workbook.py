"""The list as an Excel workbook: summary, children in order of risk, and rows not scored."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from math import ceil
from typing import Any, Literal

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from core.messages import _
from core.sheets import ScoredSheet
from mlflow_project.lists.table import NOT, cells, facts, header, label_names, lines

BOLD = Font(bold=True)
FLAGGED = PatternFill("solid", start_color="FFFDE9D9")
WIDE = 60
"""Width of a column of the summary, in characters."""
WIDEST = 34
"""Largest width of a table's column, in characters; longer text wraps, so a row fits a page."""
LINE = 15
"""Height of a line of text, in points."""
SCORE = "0.000"


def write(scored: ScoredSheet) -> bytes:
    """Return the list as an Excel file."""
    book = Workbook()
    book.remove(book.worksheets[0])
    about(book.create_sheet(_("Summary")), scored)
    children(book.create_sheet(_("List")), scored)
    if scored.sheet.unscored:
        left_out(book.create_sheet(_("Not scored")), scored)
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def about(page: Worksheet, scored: ScoredSheet) -> None:
    """Fill the first sheet: version, date, threshold, counts, and what the list is not."""
    put(page, 1, [_("Children in order of risk"), ""])
    row = 3
    for fact in facts(scored):
        put(page, row, fact)
        row += 1
    put(page, row + 1, [_("What this list is not"), ""])
    for place, sentence in enumerate(NOT, row + 2):
        put(page, place, [_(sentence), ""])
        page.merge_cells(start_row=place, end_row=place, start_column=1, end_column=2)
        page.cell(place, 1).alignment = Alignment(wrap_text=True, vertical="top")
        page.row_dimensions[place].height = 32
    for place in (1, row + 1):
        page.cell(place, 1).font = BOLD
    page.column_dimensions["A"].width = WIDE
    page.column_dimensions["B"].width = WIDE
    printed(page, "portrait")


def children(page: Worksheet, scored: ScoredSheet) -> None:
    """Fill the list: one row per child, in order of risk."""
    names = label_names(scored)
    found = lines(scored)
    titles = header(names)
    rows = [cells(order, line, names) for order, line in enumerate(found, 1)]
    table(page, titles, rows)
    score = titles.index(_("Score")) + 1
    for place, line in enumerate(found, 2):
        page.cell(place, score).number_format = SCORE
        if line.flagged:
            for cell in page[place]:
                cell.fill = FLAGGED


def left_out(page: Worksheet, scored: ScoredSheet) -> None:
    """Fill the sheet of rows without a score, each with its reason."""
    names = label_names(scored)
    rows = [[*(r.labels.get(n, "") for n in names), r.reason] for r in scored.sheet.unscored]
    table(page, [*names, _("Reason")], rows)


def table(page: Worksheet, titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a frozen header row, and rows that can be filtered."""
    for place, row in enumerate([titles, *rows], 1):
        put(page, place, row)
        height = 1
        for cell in page[place]:
            # Word wrap leaves a few characters of each line unused.
            height = max(height, ceil(length(cell.value) / (WIDEST - 8)))
            cell.alignment = Alignment(wrap_text=length(cell.value) > WIDEST, vertical="top")
        page.row_dimensions[place].height = LINE * height
    for cell in page[1]:
        cell.font = BOLD
    for place, column in enumerate(zip(titles, *rows, strict=True), 1):
        width = min(WIDEST, max(map(length, column)) + 4)
        page.column_dimensions[get_column_letter(place)].width = width
    page.freeze_panes = "A2"
    page.auto_filter.ref = page.dimensions
    page.print_title_rows = "1:1"
    printed(page, "landscape")


def length(value: Any) -> int:
    """Return how many characters a cell shows."""
    return len(SCORE if isinstance(value, float) else str(value or ""))


def printed(page: Worksheet, orientation: Literal["portrait", "landscape"]) -> None:
    """Fit all columns on one page's width: a row split over pages could be read as two."""
    page.page_setup.orientation = orientation
    page.page_setup.paperSize = page.PAPERSIZE_A4
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)


def put(page: Worksheet, row: int, values: Iterable[Any]) -> None:
    """Write a row's cells; text that begins with = + - @ is no formula, even after an edit."""
    for column, value in enumerate(values, 1):
        text = isinstance(value, str)
        cell = page.cell(row, column, ILLEGAL_CHARACTERS_RE.sub("", value) if text else value)
        if text:
            cell.data_type = "s"
            cell.quotePrefix = value.startswith(("=", "+", "-", "@"))
