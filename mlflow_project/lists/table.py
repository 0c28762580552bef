"""The list as a table: one line per child, in order of risk, and the facts of its heading."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO

from core.messages import N_, _
from core.messages.formats import moment, number, percent
from core.sheets import ScoredSheet
from core.tables.writing import harmless
from mlflow_project.lists.reasons import MOST, Common, missing, reasons

NOT = (
    N_("This list helps people to look first where help may be needed most. It decides nothing."),
    N_("A score is an estimate from last year's pattern: some children on top will do well, some "
       "below will not. Whoever knows the child knows more."),
    N_("A reason says what moved the model's answer, not what causes the child's difficulty."),
    N_("Not for grades, admission, discipline or exclusion; not to be shown to other families."),
)  # fmt: skip
"""Disclaimers of the list, one sentence each."""


@dataclass(frozen=True)
class Line:
    """A child: `labels` as in the workbook, the model's score and flag, and the reasons."""

    labels: dict[str, str]
    score: float
    flagged: bool
    reasons: list[str]
    missing: str


def lines(scored: ScoredSheet) -> list[Line]:
    """Return the children in order of risk; those of equal score in the workbook's order."""
    sheet = scored.sheet
    common = Common.of(sheet.rows)
    found = [
        Line(dict(names), one.score, bool(one.label), reasons(one, row, common), missing(row))
        for row, names, one in zip(sheet.rows, sheet.labels, scored.results, strict=True)
    ]
    return sorted(found, key=lambda line: -line.score)


def label_names(scored: ScoredSheet) -> list[str]:
    """Return the names of the columns that name a child, in the workbook's order."""
    named = [*scored.sheet.labels, *(row.labels for row in scored.sheet.unscored)]
    return list(dict.fromkeys(name for labels in named for name in labels))


def header(names: Sequence[str]) -> list[str]:
    """Return the titles of the list's columns."""
    why = [_("Reason {number}", number=number(place)) for place in range(1, MOST + 1)]
    return [_("Order"), *names, _("Score"), _("Flagged?"), *why, _("Unknown inputs")]


def cells(order: int, line: Line, names: Sequence[str]) -> list[str | float | int]:
    """Return a line's cells, as many as `header` has."""
    why = [*line.reasons, *[""] * (MOST - len(line.reasons))]
    flagged = _("yes") if line.flagged else _("no")
    labels = [line.labels.get(name, "") for name in names]
    return [order, *labels, line.score, flagged, *why, line.missing]


def write_csv(scored: ScoredSheet) -> bytes:
    """Return the list as CSV for spreadsheets in Portuguese; no cell is read as a formula.

    That is semicolons, decimal commas, and UTF-8 with a byte order mark.
    """
    names = label_names(scored)
    file = StringIO(newline="")
    writer = csv.writer(file, delimiter=";")
    writer.writerow(map(harmless, header(names)))
    for order, line in enumerate(lines(scored), 1):
        writer.writerow(
            f"{value:.4f}".replace(".", ",") if isinstance(value, float) else harmless(str(value))
            for value in cells(order, line, names)
        )
    return file.getvalue().encode("utf-8-sig")


def facts(scored: ScoredSheet) -> Iterator[tuple[str, str]]:
    """Yield the list's facts as title and text: version, date, threshold, counts and problems."""
    sheet, total = scored.sheet, len(scored.results)
    yield _("Version"), f"{scored.model_name} {scored.release}"
    yield _("Date"), moment(scored.when)
    yield _("Year of the sheet"), str(sheet.year or "")
    yield _("Threshold"), number(scored.threshold, 3)
    yield _("Children read"), number(total + len(sheet.unscored))
    share = percent(scored.flagged / total, 0) if total else percent(None)
    yield _("Flagged"), f"{number(scored.flagged)} ({share})"
    yield _("Not scored"), number(len(sheet.unscored))
    for reason, count in Counter(row.reason for row in sheet.unscored).most_common():
        yield _("Not scored: {reason}", reason=reason), number(count)
    for one in sheet.problems:
        where = _("{sheet}, column {column}", sheet=one.sheet, column=one.column)
        yield where, f"{one.reason}: {number(one.count)}"
