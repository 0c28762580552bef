"""Column names of a scored file: kept columns, features and outputs, each name once."""

from collections.abc import Collection


def answer_column(name: str, inputs: Collection[str]) -> str:
    """Return the column name of an output field, distinct from every input column.

    A feature may be called `score` or `threshold`: it keeps its name, the output's is `answer_...`.
    """
    while name in inputs:
        name = f"answer_{name}"
    return name
