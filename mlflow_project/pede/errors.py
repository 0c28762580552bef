"""What can go wrong between a workbook and a dataset. Messages are for operators: Portuguese.

DataError
├── WorkbookError         no file there, or the file is no .xlsx workbook
├── SheetError            a year's sheet is missing, doubled or empty
├── ColumnError           a column without which no row can be read is missing
├── PairError             no student appears in two consecutive years
├── KeyMissingError       labels cannot name a student without the key of the pseudonyms
└── OutputError           the dataset cannot be written

Messages name file, sheet and column; never a cell's content, which may be a child's.
"""

from collections.abc import Sequence
from pathlib import Path


class DataError(ValueError):
    """The data cannot be had as asked; the message says what, where and what to do."""


class WorkbookError(DataError):
    """The file is missing or is no workbook."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        """Build the message from the file, what is wrong with it and what to do."""
        super().__init__(f"{path}: {problem}. {remedy}")


class SheetError(DataError):
    """A sheet `PEDE<year>` is missing, doubled or without students."""

    def __init__(self, path: Path, sheet: str, problem: str, remedy: str) -> None:
        """Build the message from file and sheet."""
        self.sheet = sheet
        super().__init__(f"{path}, aba {sheet}: {problem}. {remedy}")


class ColumnError(DataError):
    """A needed column is in a sheet under none of its known names."""

    def __init__(self, path: Path, sheet: str, column: str, accepted: Sequence[str]) -> None:
        """Build the message from file, sheet, column and the names that would be recognised."""
        self.sheet, self.column = sheet, column
        names = ", ".join(f"“{name}”" for name in accepted)
        super().__init__(
            f"{path}, aba {sheet}: falta a coluna {column}. "
            f"Inclua a coluna ou dê a ela um destes nomes: {names} "
            "(acentos, maiúsculas e o ano no fim não importam)."
        )


class PairError(DataError):
    """No student appears in two consecutive years, so there is nothing to learn from."""

    def __init__(self, path: Path, years: Sequence[int]) -> None:
        """Build the message from the file and the years that were read."""
        listed = ", ".join(str(year) for year in years)
        super().__init__(
            f"{path}: nenhum RA aparece em dois anos seguidos (anos lidos: {listed}). "
            "Confira se os RAs são escritos da mesma forma em todas as abas."
        )


class KeyMissingError(DataError):
    """Labels are asked for, and no key tells whose they are."""

    def __init__(self, path: Path) -> None:
        """Build the message from the workbook."""
        super().__init__(
            f"{path}: PSEUDONYM_KEY não está definida. Defina a mesma chave que a API usa; sem ela "
            "os resultados não encontram as predições, e o RA não é gravado."
        )


class OutputError(DataError):
    """The dataset cannot be written where it was asked for."""

    def __init__(self, path: Path, problem: str) -> None:
        """Build the message from the place and the operating system's reason."""
        super().__init__(f"{path}: não foi possível gravar ({problem}). Escolha outro --output.")
