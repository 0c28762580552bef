"""Errors of reading a workbook and of writing a dataset.

Messages name file, sheet and column, never a cell's content, which may be personal data.
"""

from core.messages import N_
from core.sheets import SheetError


class DataError(SheetError):
    """The data cannot be read or written; the message states the problem, place and remedy."""

    code = "data"
    exit_code = 2


class WorkbookError(DataError):
    """The file is missing, is no readable workbook, or has another layout."""

    code = "workbook"


class YearSheetError(DataError):
    """A sheet `PEDE<year>` is missing, duplicated, empty or without students."""

    code = "sheet"


class MissingColumnError(DataError):
    """A sheet has a required column under none of its known headers."""

    code = "column"
    message = N_(
        "{source}, sheet {sheet}: the column {column} is missing. Add it, or give a column one of "
        "these names: {accepted} (accents, case and the year at the end do not matter)."
    )


class ContradictionError(DataError):
    """Columns that must agree contradict each other in too many rows."""

    code = "contradiction"
    message = N_("{source}, sheet {sheet}: {contradictions}.")


class PairError(DataError):
    """No student appears in two consecutive years, so there are no training rows."""

    code = "pairs"
    message = N_(
        "{source}: no RA appears in two consecutive years (years read: {years}). Check that RAs "
        "are written alike in all sheets."
    )


class KeyMissingError(DataError):
    """Labels were requested without the pseudonym key that links them to predictions."""

    code = "key"
    message = N_(
        "{source}: PSEUDONYM_KEY is not set. Set the key that the API uses; without it outcomes do "
        "not find their predictions, and the RA is not written."
    )


class UnwritableError(DataError):
    """The output file cannot be written at the requested path."""

    code = "output"
    message = N_("{path}: could not be written ({problem}). Choose another --output.")
