"""Performance of regressions and classifiers: metrics, verdict and page."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, r2_score, recall_score

from core.metrics import multiclass, regression
from core.metrics.resampling import values_of
from monitoring.pages.performance_page import PerformanceFacts, headline, render
from monitoring.performance.labels import Labels
from monitoring.performance.matching import Matched
from monitoring.performance.policy import PerformancePolicy
from monitoring.performance.verdict import PerformanceResult, assess
from monitoring.performance.yardsticks import yardstick_of
from monitoring.tracking.about import About
from monitoring.tracking.escalation import escalate

QUICK = PerformancePolicy(resamples=300)
PLANS = ("basic", "family", "business")
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def values(rows: int, noise: float, bias: float = 0.0) -> Rows:
    """Draw true prices, predicted prices and zero flags, (rows,) each."""
    rng = np.random.default_rng(rows)
    foretold = rng.uniform(50, 150, rows)
    return foretold - bias + rng.normal(0, noise, rows), foretold, np.zeros(rows, np.int64)


def plans(rows: int, right: float) -> Rows:
    """Draw true plans, NaN scores and predicted plans, of which the share `right` is correct."""
    rng = np.random.default_rng(rows)
    target = rng.integers(0, 3, rows)
    answered = np.where(rng.random(rows) < right, target, (target + 1) % 3)
    return target, np.full(rows, np.nan), answered


def judge(rows: Rows, test: dict[str, float], kind: str, classes: Sequence[str] = ()) -> Any:
    """Return the assessment of rows against test metrics."""
    months = ["2025-03"] * len(rows[0])
    groups = {"site": ["north", "south"] * (len(rows[0]) // 2)}
    yardstick = yardstick_of(kind, tuple(classes))
    return assess(*rows, months, test, groups=groups, policy=QUICK, yardstick=yardstick)


@pytest.mark.parametrize(
    ("noise", "bias", "status", "worse"),
    [
        (10.0, 0.0, "OK", []),
        (20.0, 0.0, "DEGRADED", ["mae", "rmse", "r2"]),
        (10.0, 25.0, "DEGRADED", ["mae", "rmse", "r2"]),
    ],
)
def test_numbers_foretold(noise: float, bias: float, status: str, worse: list[str]) -> None:
    """A regression is DEGRADED if its errors grow by over a tenth; bias is reported by band."""
    test = regression.metrics(*values(1000, 10.0)[:2])
    rows = values(400, noise, bias)
    found = judge(rows, test, "value")
    assert (found.status, found.degraded()) == (status, worse)
    assert found.metrics["r2"].value == pytest.approx(r2_score(*rows[:2]))
    assert [band.n for band in found.bands] == [40] * 10
    assert np.mean([band.bias for band in found.bands]) == pytest.approx(bias, abs=2)
    assert found.guarded["mae"] == pytest.approx(test["mae"] / 10)
    assert found.groups["site"][0].metrics["mae"].value > 0
    assert found.n_positive is None


def test_classes() -> None:
    """A classifier has recall by class, accuracy and macro F1; log loss needs probabilities."""
    target, _score, answered = plans(1000, 0.8)
    test = values_of(multiclass.statistics(target, answered, 3), 1000)
    good, bad = plans(400, 0.8), plans(402, 0.6)
    found = judge(good, test, "classes", PLANS)
    assert (found.status, found.degraded()) == ("OK", [])
    target, _score, answered = good
    assert found.metrics["macro_f1"].value == pytest.approx(
        f1_score(target, answered, average="macro")
    )
    recalls = recall_score(target, answered, average=None)
    assert [found.metrics[f"recall.{i}"].value for i in range(3)] == pytest.approx(list(recalls))
    assert "log_loss" not in found.metrics
    assert judge(bad, test, "classes", PLANS).degraded() == ["accuracy", "macro_f1"]


def test_two_classes_with_probabilities_have_a_log_loss() -> None:
    """Binary log loss takes the score as the second class's probability; labels give none."""
    rng = np.random.default_rng(0)
    score = rng.random(200)
    target = (rng.random(200) < score).astype(np.int64)
    flag = (score >= 0.5).astype(np.int64)
    found = judge((target, score, flag), {}, "classes", ("no", "yes"))
    assert found.metrics["log_loss"].value == pytest.approx(log_loss(target, score))
    assert found.status == "NO_DATA"
    labels = judge((target, flag.astype(float), flag), {}, "classes", ("no", "yes"))
    assert "log_loss" not in labels.metrics


def page(result: PerformanceResult, rows: Rows) -> tuple[str, str]:
    """Return headline and page of a result, without the style sheet."""
    n = len(rows[0])
    about = About("precos", "v0.0.2", 2, None, datetime.now(UTC), "run", "http://m/r", "http://m/v")
    facts = PerformanceFacts(
        about=about,
        labels=Labels("request", {(("r", i), None): 1.0 for i in range(n)}, n, 0, 0, 0),
        matched=Matched(*rows, ["2025-03"] * n, (), n, n, n, 0),
        escalation=escalate(None, result.status, release="v0.0.2", served=True),
    )
    return headline(result, facts), render(result, facts).split("</style>")[-1]


def test_the_page_speaks_of_the_output() -> None:
    """The page names the kind's metrics and classes, and has no term of binary scores."""
    rows = values(400, 20.0)
    told, html = page(judge(rows, regression.metrics(*values(1000, 10.0)[:2]), "value"), rows)
    assert "Erro absoluto médio" in told
    for words in ("Viés por faixa da saída", "R²", "Raiz do erro quadrático médio"):
        assert words in html
    for words in ("resultado 1", "score", "limiar", "PR-AUC", "criança", "aluno"):
        assert words not in html, words
    rows = plans(400, 0.8)
    told, html = page(judge(rows, {"accuracy": 0.8, "macro_f1": 0.8}, "classes", PLANS), rows)
    for words in ("Recall de family", "Precisão de business", "F1 macro", "Perda logarítmica"):
        assert words in html, words
    assert "não medid" in html.lower()
