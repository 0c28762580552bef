"""Delayed labels: actual outcomes of scored rows, read from a file made by hand.

The key of a row is `request_id` and `instance`, or its entity: the contract's entity column, in
clear (pseudonymized at once), or a column `entity` that holds the pseudonym.

An outcome of a year evaluates only predictions for the period `year − horizon`, so where the
contract has a horizon, the file must give the year (`outcome_year`) or the command the period.
No message quotes a value of the file.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.contract.model import CLASSES, VALUE, ModelContract
from core.contract.numbers import NumberError, read_number
from core.contract.pseudonym import stored
from core.messages import N_
from core.tables.errors import UnreadableTable
from core.tables.numbers import yes_or_no
from core.tables.reading import Columns, open_table
from monitoring.performance.errors import LabelsError

Who = tuple[str, int] | str
"""Request id and instance, or the pseudonym of an entity."""
Key = tuple[Who, int | None]
"""Row or entity that a label belongs to, and the period; None where periods do not apply."""
By = Literal["request", "entity"]
TARGET = "target"
OUTCOME_YEAR = "outcome_year"
KEYS = ("request_id", "instance", "entity")
"""Columns that may hold the key of a label, besides the contract's entity column."""

_TARGETS: Mapping[str, int] = {"0": 0, "1": 1, "false": 0, "true": 1}


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels by key, and the numbers of unusable rows of the file.

    Attributes:
        by: content of the keys: `(request_id, instance)` or the entity's pseudonym.
        targets: by key 0 or 1, the actual value, or the index of a class; keys with conflicting
            labels are left out.
        n_rows: rows of the file.
        n_unknown: rows without a key or without a label yet.
        n_duplicates: rows that repeat a key with the same label.
        n_conflicts: keys whose rows have different labels.
        columns: other requested columns, each with its value by key.
        periods: periods of the labels; empty where periods do not apply.
        assumed: period given to the command; predictions without a period count as of this one.
        n_other_period: rows whose outcome belongs to another period than the given one.
        taken_for: how the file was read, in one line.
    """

    by: By
    targets: Mapping[Key, float]
    n_rows: int
    n_unknown: int
    n_duplicates: int
    n_conflicts: int
    columns: Mapping[str, Mapping[Key, str]] = field(default_factory=dict)
    periods: frozenset[int] = frozenset()
    assumed: int | None = None
    n_other_period: int = 0
    taken_for: str = ""


def read_labels(
    path: Path,
    contract: ModelContract,
    target: str = TARGET,
    columns: Sequence[str] = (),
    period: int | None = None,
    classes: Callable[[], Sequence[str]] = tuple,
) -> Labels:
    """Read a table of labels (`core.tables.reading`), with those of `columns` that it has.

    `period` leaves out rows of any other period, and is the period of a file without years.
    `classes` returns the model's class names; it is called only where 0 and 1 do not suffice.

    Raises:
        LabelsError: the file is absent or damaged, its key, target or year column is missing or
            duplicated, a label is neither 0 nor 1 nor a class, or `PSEUDONYM_KEY` is not set for
            identities in clear.
    """
    taken_for, table = _read(path, contract, target)
    if target not in table:
        text = N_("The file {path} has no column {column}; name it with --target.")
        raise LabelsError(text, path=path, column=target)
    by, people = _people(table, path, contract)
    periods = _periods(table, path, contract, period)
    labels = _outcomes(_cells(table, target), contract, classes, path, target)
    keys: list[Key | None] = [
        None if who is None or when == "" else (who, when)
        for who, when in zip(people, periods, strict=True)
    ]
    targets: dict[Key, float] = {}
    conflicts: set[Key] = set()
    unknown = duplicates = others = 0
    for key, label in zip(keys, labels, strict=True):
        if key is None or label is None:
            unknown += 1
        elif period is not None and key[1] != period:
            others += 1
        elif targets.setdefault(key, label) != label:
            conflicts.add(key)
        else:
            duplicates += 1
    duplicates -= len(targets)
    for key in conflicts:
        del targets[key]
    more = {name: _by_key(table, name, keys) for name in columns if name in table}
    return Labels(
        by=by,
        targets=targets,
        n_rows=len(people),
        n_unknown=unknown,
        n_duplicates=duplicates,
        n_conflicts=len(conflicts),
        columns=more,
        periods=frozenset(when for _who, when in targets if when is not None)
        | frozenset([period] if period is not None else []),
        assumed=period,
        n_other_period=others,
        taken_for=taken_for,
    )


def _periods(
    table: Columns, path: Path, contract: ModelContract, period: int | None
) -> list[int | Literal[""] | None]:
    """Return the period of each row's outcome; "" for a row without a year."""
    if contract.horizon is None or OUTCOME_YEAR not in table:
        if contract.horizon is not None and period is None:
            text = N_(
                "The file {path} has no column {column}: with --period say the year that the "
                "answers are about which it judges."
            )
            raise LabelsError(text, path=path, column=OUTCOME_YEAR)
        return [period] * len(next(iter(table.values())))
    found: list[int | Literal[""] | None] = []
    for row, year in enumerate(_cells(table, OUTCOME_YEAR), start=1):
        if year and not re.fullmatch(r"\d{4}", year):
            text = N_("In the file {path}, data row {row}: {column} is no year.")
            raise LabelsError(text, path=path, row=row, column=OUTCOME_YEAR)
        found.append(int(year) - contract.horizon if year else "")
    return found


def _by_key(table: Columns, name: str, keys: Sequence[Key | None]) -> dict[Key, str]:
    """Return the last value that each key has in a column."""
    cells = zip(keys, _cells(table, name), strict=True)
    return {key: value for key, value in cells if key is not None and value}


def _read(path: Path, contract: ModelContract, target: str) -> tuple[str, Columns]:
    """Return how the file was read, and its cells by column."""
    types = {OUTCOME_YEAR: "long", "instance": "long"}
    if contract.output_kind == VALUE:
        types[target] = "double"
    try:
        table = open_table(path)
        return table.taken_for, table.columns(types)
    except UnreadableTable as exc:
        raise LabelsError(reason=str(exc)) from exc


def _people(table: Columns, path: Path, contract: ModelContract) -> tuple[By, list[Who | None]]:
    names = table.keys()
    if "request_id" in names and "instance" in names:
        pairs = zip(_cells(table, "request_id"), _cells(table, "instance"), strict=True)
        rows = enumerate(pairs, start=1)
        return "request", [_place(i, n, row, path) for row, (i, n) in rows]
    if contract.entity and contract.entity in names:
        key = os.environ.get("PSEUDONYM_KEY") or ""
        if not key:
            text = N_(
                "The file {path} has {column} in clear, and PSEUDONYM_KEY is not set; set the key "
                "that the API uses."
            )
            raise LabelsError(text, path=path, column=contract.entity)
        people = _cells(table, contract.entity)
        return "entity", [stored(person, key, contract.entity_prefix) for person in people]
    if "entity" in names:
        return "entity", [person.lower() if person else None for person in _cells(table, "entity")]
    anonymous = N_(
        "The file {path} does not say whose each outcome is: it lacks the columns request_id and "
        "instance, or entity."
    )
    clear = N_(
        "The file {path} does not say whose each outcome is: it lacks the columns request_id and "
        "instance, or {column}, or entity."
    )
    raise LabelsError(clear if contract.entity else anonymous, path=path, column=contract.entity)


def _cells(table: Columns, name: str) -> list[str]:
    """Return a column as stripped text, empty where there is no value."""
    return [_text(value) for value in table[name]]


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _place(request_id: str, instance: str, row: int, path: Path) -> Who | None:
    if not request_id or not instance:
        return None
    if not (instance.isascii() and instance.isdigit()):
        text = N_(
            "In the file {path}, data row {row}: instance is not the position in the request (0, "
            "1, 2, ...)."
        )
        raise LabelsError(text, path=path, row=row)
    return request_id, int(instance)


def _outcomes(
    values: Sequence[str],
    contract: ModelContract,
    classes: Callable[[], Sequence[str]],
    path: Path,
    target: str,
) -> Sequence[float | None]:
    """Return each outcome in the form of the predictions, None for no value.

    That is the actual value, or the index of a class, or for a score 1 for the class whose
    probability it is and 0 for another.
    """
    if contract.output_kind == VALUE:
        return [_number(value, row, path, target) for row, value in enumerate(values, start=1)]
    codes: Mapping[str, int] = _TARGETS
    given = [_class(value) for value in values]
    plain = [_flag(one) for one in given]
    if contract.output_kind == CLASSES:
        codes = {_class(name): place for place, name in enumerate(classes())}
    elif contract.positive_class == 1 and codes.keys() >= {one for one in plain if one}:
        given = plain
    else:
        called = [_class(one) for one in classes()]
        codes = {name: int(place == contract.positive_class) for place, name in enumerate(called)}
        codes = codes or _TARGETS
    for row, value in enumerate(given, start=1):
        if value and value not in codes:
            text = N_("In the file {path}, data row {row}: {column} is neither 0 nor 1.")
            if codes is not _TARGETS:
                text = N_("In the file {path}, data row {row}: {column} is none of {classes}.")
            facts = {"column": target, "classes": ", ".join(codes)}
            raise LabelsError(text, path=path, row=row, **facts)
    return [codes[value] if value else None for value in given]


def _number(value: str, row: int, path: Path, target: str) -> float | None:
    try:
        return read_number(value) if value else None
    except NumberError:
        text = N_("In the file {path}, data row {row}: {column} is no number.")
        raise LabelsError(text, path=path, row=row, column=target) from None


def _flag(text: str) -> str:
    """Return `1` or `0` for a yes/no word, any other text unchanged."""
    found = yes_or_no(text)
    return str(int(found)) if isinstance(found, bool) else text


def _class(text: str) -> str:
    """Return a class name normalized across files and models: `1.0` is `1`, `True` is `true`."""
    return text.lower().removesuffix(".0").removesuffix(",0")
