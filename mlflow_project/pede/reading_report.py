"""Reading report: interpreted values counted by sheet, column and reason, never a value."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from core.cli.text_tables import text_table
from core.messages import N_, _, ngettext
from core.sheets import SheetProblem

Action = Literal["converted", "kept", "dropped", "unreadable", "absent"]
ACTIONS = (N_("converted"), N_("kept"), N_("dropped"), N_("unreadable"), N_("absent"))
"""converted: read as another value than written; kept: doubtful, as written; dropped: left out;
unreadable: became null; absent: not in the sheet."""


class Note(NamedTuple):
    """How a value was treated: the reason, as a message of the catalogue, and the action."""

    reason: str
    action: Action
    bounds: tuple[float, float] | None = None

    def text(self) -> str:
        """Return the reason in the current language."""
        if self.bounds is None:
            return _(self.reason)
        return _(self.reason, low=float(self.bounds[0]), high=float(self.bounds[1]))


@dataclass(frozen=True, slots=True)
class ReadingEntry(SheetProblem):
    """Number of values (rows, for the column `RA`) of a column with one reason and action."""

    action: Action


@dataclass(frozen=True, slots=True)
class SheetCount:
    """Numbers of a sheet's non-empty rows, and of rows kept as students."""

    sheet: str
    rows: int
    kept: int


@dataclass(slots=True)
class ReadingReport:
    """Counts of converted, dropped, unreadable and absent values of the sheets read.

    `warnings` are messages about the whole workbook that a person should check.
    """

    sheets: list[SheetCount] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str, Note]] = field(default_factory=Counter)

    def add(self, sheet: str, column: str, note: Note, count: int = 1) -> None:
        """Add `count` values to an entry; zero adds no entry."""
        if count:
            self.counts[sheet, column, note] += count

    @property
    def entries(self) -> list[ReadingEntry]:
        """Return the entries in the order of their first occurrence."""
        return [
            ReadingEntry(sheet, column, note.text(), count, note.action)
            for (sheet, column, note), count in self.counts.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return {
            "sheets": [asdict(sheet) for sheet in self.sheets],
            "entries": [asdict(entry) for entry in self.entries],
            "warnings": self.warnings,
        }

    def table(self) -> str:
        """Return an aligned text table in the current language, one line per entry."""
        lines = [
            ngettext(
                "{sheet}: {n} row, {kept} students read",
                "{sheet}: {n} rows, {kept} students read",
                sheet.rows,
                sheet=sheet.sheet,
                kept=sheet.kept,
            )
            for sheet in self.sheets
        ]
        lines += [_("Attention: {warning}", warning=warning) for warning in self.warnings]
        if not self.entries:
            return "\n".join([*lines, _("No value was converted, dropped or unreadable.")])
        head = (_("Sheet"), _("Column"), _("Reason"), _("Action"), _("Count"))
        rows = [(e.sheet, e.column, e.reason, _(e.action), f"{e.count:5}") for e in self.entries]
        return "\n".join([*lines, "", text_table(head, rows)])
