"""The performance report's page: verdict first, no external resources, no identities."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from monitoring.pages.performance_page import PerformanceFacts, coverage, headline, render
from monitoring.performance.labels import Labels
from monitoring.performance.matching import Matched
from monitoring.performance.policy import PerformancePolicy
from monitoring.performance.verdict import PerformanceResult, assess
from monitoring.tracking.about import About
from monitoring.tracking.escalation import escalate

TEST = {"recall": 0.85, "f2": 0.8, "roc_auc": 0.85, "brier": 0.15}
SOMEBODY = "0123456789abcdef" * 4


def judged(
    n: int, slope: float = 1.0, *, drift: str | None = None
) -> tuple[PerformanceResult, PerformanceFacts]:
    """Return result and page facts of `n` labels that follow the scores with this slope."""
    rng = np.random.default_rng(1)
    score = rng.random(n)
    target = (rng.random(n) < 0.5 + slope * (score - 0.5)).astype(int)
    flag = (score >= 0.3).astype(int)
    months = ["2025-03"] * n
    result = assess(target, score, flag, months, TEST, policy=PerformancePolicy(resamples=300))
    now = datetime.now(UTC)
    facts = PerformanceFacts(
        about=About(
            model_name="modelo",
            model_version="v1.2.0",
            registry_version=3,
            window_start=None,
            window_end=now,
            run_id="run",
            run_url="http://mlflow/#/experiments/1/runs/run",
            version_url="http://mlflow/#/models/modelo/versions/3",
        ),
        labels=Labels("entity", {SOMEBODY: 1}, n + 6, 2, 3, 1),
        matched=Matched(target, score, flag, months, (0.3,), 3 * n, 2 * n, n + 5, 4),
        escalation=escalate(drift, result.status, release="v1.2.0", served=True),
    )
    return result, facts


@pytest.mark.parametrize(
    ("n", "slope", "drift", "words"),
    [
        (200, 1.0, None, ["Desempenho mantido", "não está comprovadamente pior", "§4.3"]),
        (200, -1.0, None, ["Desempenho pior", "comprovadamente pior", "L2", "§3.5"]),
        (200, -1.0, "RED", ["L3", "mlflow_project.registry rollback --reason"]),
        (12, 1.0, None, ["Sem dados", "menos de 30 resultados"]),
        (0, 1.0, None, ["Sem dados", "Ainda não há veredito", "PSEUDONYM_KEY"]),
    ],
)
def test_the_verdict_comes_first_and_says_what_to_do(
    n: int, slope: float, drift: str | None, words: list[str]
) -> None:
    """The header has the status, a summary sentence and the runbook's next step."""
    header = re.search(r"<header.*?</header>", render(*judged(n, slope, drift=drift)), re.DOTALL)
    assert header is not None
    assert all(word in header.group() for word in words)


def test_the_page_needs_nothing_else_and_names_nobody() -> None:
    """The page has no script or external resource, and no label's key is in page or data."""
    result, facts = judged(200)
    html = render(result, facts)
    assert "<script" not in html
    assert not re.search(r"(src=|@import|<link|url\()", html)
    assert set(re.findall(r'href="(http://[^/]+)', html)) == {"http://mlflow"}
    assert html.count("<circle") == 10
    assert SOMEBODY not in html + str(facts.to_dict()) + str(result.to_dict())


def test_what_was_left_out_is_said() -> None:
    """Coverage, repeated predictions and the labels left out are stated by kind."""
    text = coverage(judged(200)[1])
    assert "200 resultados de 400 entidades pontuadas (50,0 %)" in text
    assert "205 respostas" in text
    assert "4 sem predição na janela" in text
    assert "3 repetidos" in text
    assert "1 com respostas contraditórias" in text


def test_the_sentence_names_what_is_worse() -> None:
    """The headline names the worse metric with its value and that of the test."""
    result, facts = judged(200, -1.0)
    assert re.search(r"ROC-AUC 0,\d{3} \(teste: 0,850\)", headline(result, facts))
