"""Groups of children, and a model's metrics for each of them; pure functions."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from core.messages import N_, _
from core.metrics.classification import metrics
from mlflow_project.dataset.pairs import GROUPS

TITLES: Mapping[str, str] = {
    "genero": N_("Gender"),
    "instituicao": N_("School"),
    "fase_agora": N_("Phase"),
    "novo": N_("New to the programme"),
    "defasado": N_("Lagging now"),
}
"""Titles of the group columns: the first are the dataset's own, the others derive from features."""
FAIR = GROUPS
"""Columns across whose groups recall must be similar: neither children nor schools choose them."""
MIN_SHOWN = 10
"""Least rows of a reported group: a share of one or two children would disclose outcomes."""
SHOWN = ("recall", "precision", "share_flagged", "roc_auc", "brier")


def with_groups(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of the dataset with a column for each of `TITLES`, None where it is unknown."""
    phase = rows["fase"]
    return rows.assign(
        fase_agora=phase.map(lambda value: None if np.isnan(value) else f"{value:g}"),
        novo=_yes_or_no(rows["anos_no_programa"], lambda years: years < 1),
        defasado=_yes_or_no(rows["defasagem"], lambda lag: lag < 0),
    )


def group_metrics(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per group of at least `MIN_SHOWN`: rows, positives, metrics and calibration.

    `mean_score` − `positive_rate` is the group's calibration in the large, positive where risk is
    overestimated. NaN where a metric is not defined.

    Args:
        rows: `score`, `target` (0 and 1), `flagged`, and the columns of `TITLES`.
    """
    found = []
    for column, value, inside in groups_of(rows):
        part = rows[inside]
        if len(part) < MIN_SHOWN:
            continue
        of_part = metrics(part["target"], part["score"], part["flagged"])
        found.append(
            {
                "column": column,
                "value": value,
                "rows": len(part),
                "positives": int((part["target"] == 1).sum()),
                **{name: of_part[name] for name in SHOWN},
                "positive_rate": of_part["positive_rate"],
                "mean_score": float(part["score"].mean()),
            }
        )
    return pd.DataFrame(found)


def groups_of(
    rows: pd.DataFrame, columns: Iterable[str] = tuple(TITLES)
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield column, value and row mask (n,) of each group; rows of unknown group are in none."""
    for column in columns:
        for value in sorted(rows[column].dropna().unique()):
            yield column, str(value), (rows[column] == value).to_numpy()


def group_name(column: str, value: str) -> str:
    """Return the display name of a group."""
    words = {"sim": N_("yes"), "nao": N_("no")}
    return f"{_(TITLES[column])}: {_(words[value]) if value in words else value}"


def _yes_or_no(values: pd.Series, is_one: Callable[[pd.Series], pd.Series]) -> pd.Series:
    said = is_one(values).map({True: "sim", False: "nao"}).astype("object")
    return said.where(values.notna(), None)
