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
"""Columns by which fairness is evaluated; never features."""
DATASET_COLUMNS: tuple[str, ...] = (STUDENT, YEAR, *FEATURE_NAMES, *GROUPS, TARGET)


def build_dataset(students: pd.DataFrame, pseudonym_key: str | None) -> pd.DataFrame:
    """Return the dataset (`DATASET_COLUMNS`), in an order that does not depend on the RA.

    `students` is the table of `read_workbook`. `student` is the pseudonym under the key or, without
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


def count_pairs(
    dataset: pd.DataFrame, students: pd.DataFrame | None = None
) -> list[dict[str, Any]]:
    """Return per reference year t the pairs t → t+1 and the share at risk in t+1.

    With `students`, also their number in the year and `share_reappearing`, the share of them who
    are also in the next year's sheet.
    """
    found: list[dict[str, Any]] = []
    for year, size, share in dataset.groupby(YEAR)[TARGET].agg(["size", "mean"]).itertuples():
        pair: dict[str, Any] = {"reference_year": int(year), "pairs": int(size)}
        if students is not None:
            seen = int((students["ano"] == year).sum())
            pair |= {"students": seen, "share_reappearing": round(float(size / seen), 4)}
        found.append({**pair, "share_at_risk": round(float(share), 4)})
    return found


def _pseudonyms(ra: Sequence[str] | pd.Series, key: str | None) -> dict[str, str]:
    """Map each RA to its pseudonym, or to an ordinal that cannot be derived from one RA alone."""
    distinct = sorted(set(ra))
    if key:
        return {identity: pseudonym(identity, key) for identity in distinct}
    salt = hashlib.sha256("\n".join(distinct).encode()).digest()
    shuffled = sorted(distinct, key=lambda one: hashlib.sha256(salt + one.encode()).digest())
    return {identity: f"aluno-{number:06d}" for number, identity in enumerate(shuffled, start=1)}
