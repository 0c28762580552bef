"""What a reader did to the values it met: counts by sheet, column and reason, never a value."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.cli.text_tables import text_table

Action = Literal["convertido", "mantido", "descartado", "ilegível", "ausente"]
"""convertido: read as another value than written; mantido: doubtful, kept as written; descartado:
left out; ilegível: could not be read, became null; ausente: was not there."""

_HEADINGS = ("Aba", "Coluna", "Motivo", "Ação", "Qtde")


@dataclass(frozen=True, slots=True)
class Entry:
    """How many values (rows, where the column is `RA`) of one column met one fate."""

    sheet: str
    column: str
    reason: str
    count: int
    action: Action


@dataclass(frozen=True, slots=True)
class SheetCount:
    """Rows of a sheet that held anything, and rows kept as students."""

    sheet: str
    rows: int
    kept: int


@dataclass(frozen=True, slots=True)
class ReadingReport:
    """Everything that was coerced, dropped, unreadable or absent in one workbook."""

    sheets: tuple[SheetCount, ...] = ()
    entries: tuple[Entry, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return {
            "sheets": [asdict(sheet) for sheet in self.sheets],
            "entries": [asdict(entry) for entry in self.entries],
        }

    def table(self) -> str:
        """Return an aligned text table in Portuguese, one line per entry."""
        lines = [f"{s.sheet}: {s.rows} linhas, {s.kept} estudantes lidos" for s in self.sheets]
        if not self.entries:
            return "\n".join([*lines, "Nenhum valor convertido, descartado ou ilegível."])
        rows = [(e.sheet, e.column, e.reason, e.action, f"{e.count:5}") for e in self.entries]
        return "\n".join([*lines, "", text_table(_HEADINGS, rows)])


class Tally:
    """Collects counts while sheets are read; `report` freezes them."""

    def __init__(self) -> None:
        """Start empty."""
        self._counts: Counter[tuple[str, str, str, Action]] = Counter()
        self._sheets: list[SheetCount] = []

    def add(self, sheet: str, column: str, reason: str, action: Action, count: int = 1) -> None:
        """Count `count` values more; nothing is noted for zero."""
        if count:
            self._counts[sheet, column, reason, action] += count

    def sheet(self, sheet: str, rows: int, kept: int) -> None:
        """Note how many rows a sheet had and how many were kept."""
        self._sheets.append(SheetCount(sheet, rows, kept))

    def report(self) -> ReadingReport:
        """Return what was counted, in the order in which it was first met."""
        entries = (
            Entry(sheet, column, reason, count, action)
            for (sheet, column, reason, action), count in self._counts.items()
        )
        return ReadingReport(tuple(self._sheets), tuple(entries))
