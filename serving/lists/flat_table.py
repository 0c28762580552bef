"""The reader without a name: a flat table whose columns are the contract's; others name the row."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from core.contract.model import ModelContract
from core.messages import N_, _
from core.messages.formats import moment, number
from core.sheets import ScoredSheet, Sheet, SheetError
from serving.protocol.mlflow_input import cell_value, types_of
from serving.protocol.validation import Validator

MOST_ROWS = 50_000
_RAISING = 3


class FlatTable:
    """Reads a table with a header from CSV or the first sheet of an .xlsx file."""

    def __init__(self, contract: ModelContract) -> None:
        """Keep the contract, whose columns become the rows."""
        self._contract = contract
        self._known = Validator(contract, 1).known

    def read(self, content: bytes, year: int | None = None) -> Sheet:
        """Return the table's rows; what is no column of the contract names the row.

        Raises:
            SheetError: it is no such table.
        """
        lines = _xlsx_lines(content) if content.startswith(b"PK") else _csv_lines(content)
        header, *body = lines or [[]]
        names = [str(cell).strip() if cell is not None else "" for cell in header]
        if len(set(names)) != len(names) or not any(map(self._known, names)):
            raise SheetError(N_("the first line must name each column once, the model's too"))
        types = types_of(names, self._contract.features)
        rows, labels = [], []
        for line in body:
            cells = dict(zip(names, line, strict=False))
            rows.append({n: _value(types.get(n), v) for n, v in cells.items() if self._known(n)})
            labels.append({n: _text(v) for n, v in cells.items() if n and not self._known(n)})
        return Sheet(rows, labels, year)

    def write(self, scored: ScoredSheet) -> bytes:
        """Return a workbook: what the list is about, and a row for each row, the riskiest first."""
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
                    # Text that begins like a formula stays text.
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


def _xlsx_lines(content: bytes) -> list[Sequence[Any]]:
    from openpyxl import load_workbook

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        found = book.worksheets[0].iter_rows(values_only=True)
        return _bounded(line for line in found if any(cell is not None for cell in line))
    except SheetError:
        raise
    except Exception as exc:
        # openpyxl raises whatever the damage leads to.
        raise SheetError(N_("the file is not a readable .xlsx workbook")) from exc


def _csv_lines(content: bytes) -> list[Sequence[Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SheetError(N_("the file is neither .xlsx nor CSV in UTF-8")) from None
    first = text.split("\n", 1)[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    try:
        return _bounded(
            line for line in csv.reader(io.StringIO(text, ""), delimiter=separator) if line
        )
    except csv.Error:
        raise SheetError(N_("the file is neither .xlsx nor CSV in UTF-8")) from None


def _bounded(lines: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """Return the lines.

    Raises:
        SheetError: there are more than `MOST_ROWS`.
    """
    found = []
    for line in lines:
        found.append(line)
        if len(found) > MOST_ROWS:
            raise SheetError(N_("the table has more than {most} rows"), most=MOST_ROWS)
    return found


def _value(kind: str | None, value: Any) -> Any:
    """Return a cell as its feature's type, a decimal comma read as such."""
    if not isinstance(value, str):
        return value.year if isinstance(value, datetime) else value
    text = value.strip()
    if kind in ("double", "long") and "." not in text:
        text = text.replace(",", ".")
    return cell_value(kind, text)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.date().isoformat() if isinstance(value, datetime) else str(value)
