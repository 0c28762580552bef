"""Trying the families under the same folds, and choosing one by a rule that is written down.

The rule (docs/decisions/0006): a family that the proxy cannot score compiled is out; of the others
the best cross-validated Brier score counts, and the plainest family within one standard error of it
is taken (Breiman, Friedman, Olshen, Stone, Classification and Regression Trees, 1984, section
3.4.3). Only rows of the training pairs are seen; the test year has no part in it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.cli.progress import Bar, say
from core.metrics.classification import score_metrics
from mlflow_project.dataset.risk import DIFFERENCE, FEATURE_NAMES
from mlflow_project.make_dataset import STUDENT, TARGET
from mlflow_project.modelling.families import FAMILIES, Family
from mlflow_project.modelling.pipeline import build_pipeline, one_row_seconds, out_of_fold_scores

BUDGET = 60.0
"""Seconds after which no further family is begun; one that was begun is finished."""
TRIAL_REPEATS, TRIAL_FOLDS = 2, 5
"""Shuffles and folds of a trial: errors are paired by row, so few tell families apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One family under the folds.

    `losses` are squared errors per row, mean over shuffles, (n,); `row_ms` is what one row cost in
    scikit-learn itself, in milliseconds: shown, never judged by, since a timer is not repeatable.
    """

    family: Family
    metrics: Mapping[str, float]
    losses: np.ndarray
    row_ms: float
    seconds: float
    seed: int

    @property
    def brier(self) -> float:
        """Return the cross-validated Brier score."""
        return float(self.losses.mean())


@dataclass(frozen=True, slots=True)
class Selection:
    """What was tried, what was chosen and why; `untried` families fell to the budget."""

    trials: Sequence[Trial]
    chosen: Trial
    reasons: Sequence[str]
    untried: Sequence[Family]


def select_family(
    rows: pd.DataFrame,
    seed: int,
    families: Sequence[Family] = FAMILIES,
    budget: float = BUDGET,
    log: Callable[[Trial], None] = lambda _: None,
) -> Selection:
    """Try the families on the training rows and choose; `log` is told of each trial at its end.

    The first family is always tried, whatever the budget.
    """
    begun = time.perf_counter()
    trials: list[Trial] = []
    for family in families:
        if trials and time.perf_counter() - begun > budget:
            break
        trial = _try(family, rows, seed)
        trials.append(trial)
        log(trial)
    untried = families[len(trials) :]
    if untried:
        say(f"orçamento de {budget:g} s esgotado; não tentadas: {_names(untried)}")
    chosen, reasons = choose(trials)
    return Selection(trials, chosen, reasons, untried)


def _try(family: Family, rows: pd.DataFrame, seed: int) -> Trial:
    begun = time.perf_counter()
    frame, target = rows[list(FEATURE_NAMES)], rows[TARGET]
    pipeline = build_pipeline(FEATURE_NAMES, DIFFERENCE, seed, family)
    bar = Bar(family.title, TRIAL_REPEATS * TRIAL_FOLDS)
    scores = out_of_fold_scores(
        pipeline, frame, target, rows[STUDENT], seed, TRIAL_REPEATS, TRIAL_FOLDS, bar.tick
    )
    outcome = target.to_numpy()
    each = [score_metrics(outcome, shuffle, 0.5) for shuffle in scores]
    names = ("brier", "log_loss", "roc_auc", "pr_auc", "ece")
    return Trial(
        family=family,
        metrics={f"cv_{name}": float(np.mean([m[name] for m in each])) for name in names},
        losses=((scores - outcome) ** 2).mean(axis=0),
        row_ms=1000 * one_row_seconds(pipeline, frame.iloc[:1]),
        seconds=time.perf_counter() - begun,
        seed=seed,
    )


def choose(trials: Sequence[Trial]) -> tuple[Trial, list[str]]:
    """Return the family that the rule takes, and in words what was given up for it.

    Trials come in the order of preference; errors are paired, row by row.
    """
    cheap = [t for t in trials if t.family.compiled] or list(trials)
    best = min(cheap, key=lambda t: t.brier)
    chosen = next(t for t in cheap if t.brier - best.brier <= _standard_error(t, best))
    reasons = []
    if chosen is not best:
        reasons.append(
            f"{best.family.name} tem o menor Brier ({best.brier:.4f}), mas {chosen.family.name}, "
            f"mais simples, fica a {chosen.brier - best.brier:.4f}, dentro de um erro padrão "
            f"({_standard_error(chosen, best):.4f})"
        )
    for trial in trials:
        if trial not in cheap:
            reasons.append(
                f"{trial.family.name} ficou de fora pelo custo: a API não a compila, e uma linha "
                f"custou {trial.row_ms:.1f} ms (a escolhida {chosen.row_ms:.1f} ms antes de "
                f"compilada); o Brier dela na validação cruzada difere do da escolhida em "
                f"{trial.brier - chosen.brier:+.4f}"
            )
    return chosen, reasons


def _standard_error(one: Trial, other: Trial) -> float:
    """Return the standard error of the mean difference of two trials' losses."""
    difference = one.losses - other.losses
    return float(difference.std(ddof=1) / np.sqrt(len(difference)))


def _names(families: Sequence[Family]) -> str:
    return ", ".join(family.name for family in families)
