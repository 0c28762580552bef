"""What can go wrong between a workbook and a dataset.

Messages name file, sheet and column; never a cell's content, which may be a child's.
"""

from core.messages import N_
from core.sheets import SheetError


class DataError(SheetError):
    """The data cannot be had as asked; the message says what, where and what to do."""

    code = "data"
    exit_code = 2


class WorkbookError(DataError):
    """The file is missing, is no workbook, or is one of another layout."""

    code = "workbook"


class YearSheetError(DataError):
    """A sheet `PEDE<year>` is missing, doubled or without students."""

    code = "sheet"


class MissingColumnError(DataError):
    """A needed column is in a sheet under none of its known names."""

    code = "column"
    message = N_(
        "{source}, sheet {sheet}: the column {column} is missing. Add it, or give a column one of "
        "these names: {accepted} (accents, case and the year at the end do not matter)."
    )


class ContradictionError(DataError):
    """Columns that must agree contradict each other in too many rows to be trained on."""

    code = "contradiction"
    message = N_("{source}, sheet {sheet}: {contradictions}.")


class PairError(DataError):
    """No student appears in two consecutive years, so there is nothing to learn from."""

    code = "pairs"
    message = N_(
        "{source}: no RA appears in two consecutive years (years read: {years}). Check that RAs "
        "are written alike in all sheets."
    )


class KeyMissingError(DataError):
    """Labels are asked for, and no key tells whose they are."""

    code = "key"
    message = N_(
        "{source}: PSEUDONYM_KEY is not set. Set the key that the API uses; without it outcomes do "
        "not find their predictions, and the RA is not written."
    )


class UnwritableError(DataError):
    """The dataset cannot be written where it was asked for."""

    code = "output"
    message = N_("{path}: could not be written ({problem}). Choose another --output.")
