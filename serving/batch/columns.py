"""Columns of a scored file: kept ones, the features and the answer, each name once."""

from collections.abc import Collection


def answer_column(name: str, inputs: Collection[str]) -> str:
    """Return what a part of the answer is called beside the columns that it is an answer to.

    A feature may be called `score` or `threshold`: it keeps its name, the answer's is `answer_...`.
    """
    while name in inputs:
        name = f"answer_{name}"
    return name
