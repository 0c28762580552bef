"""What a reader did to the values it met: counts by sheet, column and reason, never a value."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from core.cli.text_tables import text_table
from core.messages import N_, _, ngettext
from core.sheets import SheetProblem

Action = Literal["converted", "kept", "dropped", "unreadable", "absent"]
ACTIONS = (N_("converted"), N_("kept"), N_("dropped"), N_("unreadable"), N_("absent"))
"""converted: read as another value than written; kept: doubtful, as written; dropped: left out;
unreadable: became null; absent: was not there."""


class Note(NamedTuple):
    """What happened to a value: why, as a message of the catalogue, and what was done."""

    reason: str
    action: Action
    bounds: tuple[float, float] | None = None

    def text(self) -> str:
        """Return the reason in the reader's language."""
        if self.bounds is None:
            return _(self.reason)
        return _(self.reason, low=float(self.bounds[0]), high=float(self.bounds[1]))


@dataclass(frozen=True, slots=True)
class ReadingEntry(SheetProblem):
    """How many values (rows, where the column is `RA`) of one column met one fate."""

    action: Action


@dataclass(frozen=True, slots=True)
class SheetCount:
    """Rows of a sheet that held anything, and rows kept as students."""

    sheet: str
    rows: int
    kept: int


@dataclass(slots=True)
class ReadingReport:
    """Everything that was coerced, dropped, unreadable or absent, counted while sheets are read.

    `warnings` are sentences about the whole workbook, for a person to look into.
    """

    sheets: list[SheetCount] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str, Note]] = field(default_factory=Counter)

    def add(self, sheet: str, column: str, note: Note, count: int = 1) -> None:
        """Count `count` values more; nothing is noted for zero."""
        if count:
            self.counts[sheet, column, note] += count

    @property
    def entries(self) -> list[ReadingEntry]:
        """Return what was counted, in the order in which it was first met."""
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
        """Return an aligned text table in the reader's language, one line per entry."""
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
