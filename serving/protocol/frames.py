"""Frames of any input format, columns and rows, as one mapping per row."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.messages import _
from serving.errors import InvalidInstances

Rows = list[Mapping[str, Any]]


def named(columns: Sequence[Any], rows: Sequence[Any]) -> Rows:
    """Return the rows of a frame by column name; integer names, as of an array, become text.

    Raises:
        InvalidInstances: a name is not text or repeated, or a row has not one value per column.
    """
    names = [str(column) if type(column) is int else column for column in columns]
    if not all(isinstance(name, str) for name in names):
        raise refusal(_("some column names are not text"), _("text"))
    if len(set(names)) != len(names):
        raise refusal(_("some columns are repeated"), _("each column once"))
    for number, row in enumerate(rows):
        if not isinstance(row, list | tuple) or len(row) != len(names):
            problem = _("the row does not have one value per column")
            raise refusal(problem, _("{count} values", count=len(names)), number)
    return [dict(zip(names, row, strict=True)) for row in rows]


def by_place(rows: Rows, names: Sequence[str]) -> Rows:
    """Return the rows of a frame under a matrix's own names, by position.

    A model that was fitted on an array has no column names: MLflow takes the columns in their
    order. A frame with the names that responses and `/metadata` use is matched by name.

    Raises:
        InvalidInstances: the frame does not have one column per name.
    """
    if not all(isinstance(row, dict) for row in rows):
        return rows
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if set(columns) == set(names):
        return rows
    if len(columns) != len(names):
        problem = _("the row does not have one value per column")
        raise refusal(problem, _("{count} values", count=len(names)))
    places = list(zip(names, columns, strict=True))
    return [{name: row.get(column) for name, column in places} for row in rows]


def refusal(
    problem: str, allowed: str, instance: int | None = None, field: str | None = None
) -> InvalidInstances:
    """Return the error of a whole body, of one of its rows, or of one field."""
    detail = {"instance": instance, "field": field, "problem": problem, "allowed": allowed}
    return InvalidInstances([detail], 1)
