"""The modelling dataset: one row per student and pair of consecutive years t → t+1."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from core.contract.pseudonym import pseudonym
from mlflow_project.dataset.risk import TARGET
from mlflow_project.pede import FEATURE_NAMES

STUDENT = "student"
YEAR = "reference_year"
GROUPS: tuple[str, ...] = ("genero", "instituicao")
"""Columns by which fairness is looked at; never features."""
DATASET_COLUMNS: tuple[str, ...] = (STUDENT, YEAR, *FEATURE_NAMES, *GROUPS, TARGET)


def build_dataset(students: pd.DataFrame, pseudonym_key: str | None) -> pd.DataFrame:
    """Return the dataset (`DATASET_COLUMNS`), in an order that does not depend on the RA.

    `students` is what `read_workbook` returns. `student` is the pseudonym under the key or, without
    one, an ordinal of this workbook; `reference_year` is t; `em_risco` is 1 where the lag of t+1 is
    negative. A student seen in t but not in t+1 has no row.
    """
    outcome = students[["ra", "ano", "defasagem"]].rename(columns={"defasagem": "next_lag"})
    outcome["ano"] -= 1
    pairs = students.merge(outcome, on=["ra", "ano"], validate="one_to_one")
    identities = _pseudonyms(students["ra"], pseudonym_key)
    pairs[STUDENT] = pairs["ra"].map(identities).astype("str")
    pairs[YEAR] = pairs["ano"].astype("int64")
    pairs[TARGET] = (pairs["next_lag"] < 0).astype("int64")
    dataset = pairs[list(DATASET_COLUMNS)]
    return dataset.sort_values([YEAR, STUDENT]).reset_index(drop=True)


def count_pairs(dataset: pd.DataFrame, students: pd.DataFrame) -> list[dict[str, Any]]:
    """Return per reference year t its students, the pairs t → t+1, and the shares at risk in t+1.

    `share_reappearing` is the share of the year's students who are there in the next one too.
    """
    seen = students.groupby("ano").size()
    by_year = dataset.groupby(YEAR)[TARGET].agg(["size", "mean"])
    return [
        {
            "reference_year": int(year),
            "students": int(seen[year]),
            "pairs": int(size),
            "share_reappearing": round(float(size / seen[year]), 4),
            "share_at_risk": round(float(share), 4),
        }
        for year, size, share in by_year.itertuples()
    ]


def _pseudonyms(ra: Sequence[str] | pd.Series, key: str | None) -> dict[str, str]:
    """Map each RA to its pseudonym, or to an ordinal in an order no RA alone gives away."""
    distinct = sorted(set(ra))
    if key:
        return {identity: pseudonym(identity, key) for identity in distinct}
    salt = hashlib.sha256("\n".join(distinct).encode()).digest()
    shuffled = sorted(distinct, key=lambda one: hashlib.sha256(salt + one.encode()).digest())
    return {identity: f"aluno-{number:06d}" for number, identity in enumerate(shuffled, start=1)}
