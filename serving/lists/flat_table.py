"""Default reader: a flat table with the contract's columns; other columns label the row."""

import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from core.contract.model import ModelContract
from core.messages import N_, _
from core.messages.formats import moment, number
from core.sheets import ScoredSheet, Sheet, SheetError
from core.tables.errors import UnreadableTable
from core.tables.reading import OpenTable, Row, open_table
from serving.protocol.csv_input import types_of
from serving.protocol.validation import Validator

MOST_ROWS = 50_000
_RAISING = 3


class FlatTable:
    """Reader and writer of a table with a header (`core.tables.reading`)."""

    def __init__(self, contract: ModelContract) -> None:
        """Keep the contract, whose columns are read as instances."""
        self._contract = contract
        self._known = Validator(contract, 1).known

    def read(self, content: bytes, year: int | None = None) -> Sheet:
        """Return the table's rows; columns outside the contract become row labels.

        Raises:
            SheetError: the content is no such table, or has more than `MOST_ROWS` rows.
        """
        try:
            table = open_table(content)
            lines = self._lines(table)
        except UnreadableTable as exc:
            raise SheetError(reason=str(exc)) from exc
        known = [name for name in table.names if self._known(name) is not None]
        if not known:
            raise SheetError(N_("the first line must name each column once, the model's too"))
        others = [name for name in table.names if name not in known]
        types = types_of(known, self._contract.features)
        years = [name for name in known if types.get(name) != "datetime"]
        rows = [line | {name: _year(line[name]) for name in years} for line in lines]
        rows = [{name: row[name] for name in known} for row in rows]
        labels = [{name: _text(line[name]) for name in others} for line in lines]
        return Sheet(rows, labels, year)

    def _lines(self, table: OpenTable) -> list[Row]:
        """Return the table's rows; raises SheetError for more than `MOST_ROWS`."""
        found: list[Row] = []
        for rows in table.chunks(MOST_ROWS, types_of(table.names, self._contract.features)):
            found += rows
            if len(found) > MOST_ROWS:
                raise SheetError(N_("the table has more than {most} rows"), most=MOST_ROWS)
        return found

    def write(self, scored: ScoredSheet) -> bytes:
        """Return a workbook: a sheet about the list, and the scored rows, highest score first."""
        from openpyxl import Workbook

        book = Workbook()
        about = book.create_sheet(_("About"), 0)
        book.remove(book.worksheets[1])
        for line in _about(scored):
            about.append(line)
        names = list(dict.fromkeys(name for labels in scored.sheet.labels for name in labels))
        table = book.create_sheet(_("List"))
        table.append([*names, _("Score"), _("Flagged"), _("What raised the score")])
        pairs = zip(scored.sheet.labels, scored.results, strict=True)
        for labels, result in sorted(pairs, key=lambda pair: -pair[1].score):
            raised = [e for e in result.explanation if e["effect"] > 0][:_RAISING]
            why = "; ".join(e["description"] or e["feature"] for e in raised)
            flagged = _("yes") if result.label else _("no")
            table.append([*(labels.get(n, "") for n in names), result.score, flagged, why])
        for sheet in book.worksheets:
            for cell in (cell for row in sheet.iter_rows() for cell in row):
                if isinstance(cell.value, str):
                    # Text that begins like a formula must stay text.
                    cell.data_type = "s"
        file = io.BytesIO()
        book.save(file)
        return file.getvalue()


def _about(scored: ScoredSheet) -> Iterable[tuple[str, str]]:
    yield _("Version"), f"{scored.model_name} {scored.release}"
    yield _("Date"), moment(scored.when)
    yield _("Threshold"), number(scored.threshold, 4)
    yield _("Scored"), number(len(scored.results))
    yield _("Flagged"), number(scored.flagged)
    for left in scored.sheet.unscored:
        yield _("Not scored"), f"{', '.join(left.labels.values())}: {left.reason}"
    yield _("Note"), _("A help for people, and no decision.")


def _year(value: Any) -> Any:
    """Return a cell's value; of a date, its year."""
    return value.year if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.date().isoformat() if isinstance(value, datetime) else str(value)
