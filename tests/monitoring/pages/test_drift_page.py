"""The drift report's page: verdict first, Portuguese text, no external resources, escaping."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from core.contract.model import Feature, ModelContract
from core.metrics.expected import ExpectedPerformance
from monitoring.drift.baseline import Baseline
from monitoring.drift.comparison import compare
from monitoring.drift.expected import ScoreTally
from monitoring.drift.fitting import fit_baseline
from monitoring.pages.drift_page import DriftFacts, headline, render
from monitoring.tracking.about import About
from monitoring.tracking.escalation import escalate


def table(rows: int, shift: float = 0.0) -> pa.Table:
    """Draw a table of two features and a score."""
    rng = np.random.default_rng([rows, int(shift)])
    return pa.table(
        {
            "speed": rng.normal(shift, 1, rows),
            "kind": rng.choice(["<b>a</b>", "b"], rows),
            "score": rng.random(rows),
        }
    )


def facts(
    n_instances: int,
    n_entities: int | None = None,
    drift: str | None = None,
    performance: str | None = None,
    foretold: ExpectedPerformance | None = None,
    standing: str | None = None,
) -> DriftFacts:
    """Return the facts of a report on `n_instances`."""
    now = datetime.now(UTC)
    return DriftFacts(
        about=About(
            model_name="modelo",
            model_version="v1.2.0",
            registry_version=3,
            window_start=now - timedelta(days=7),
            window_end=now,
            run_id="run",
            run_url="http://mlflow/#/experiments/1/runs/run",
            version_url="http://mlflow/#/models/modelo/versions/3",
        ),
        contract=ModelContract(
            "v1.2.0",
            (
                Feature("speed", unit="km/h", description="Speed <of> it"),
                Feature("kind", type="string"),
            ),
            target="failure",
            threshold=0.5,
        ),
        baseline=Baseline((), None, 0, now.isoformat(), source="arquivo"),
        n_requests=n_instances,
        n_instances=n_instances,
        n_entities=n_instances if n_entities is None else n_entities,
        escalation=escalate(drift, performance, release="v1.2.0", served=True),
        expected=foretold,
        test_metrics={"recall": 0.875},
        standing=standing or drift or "GREEN",
    )


def page(rows: int, shift: float = 0.0) -> str:
    """Return the page of a window of `rows` rows, its speed moved by `shift`."""
    result = compare(fit_baseline(table(700)), table(rows, shift) if rows else iter([]))
    return render(result, facts(rows, drift=result.global_status))


@pytest.mark.parametrize(
    ("rows", "shift", "words"),
    [
        (200, 0.0, ["Verde", "Nenhuma mudança", "Nada a fazer"]),
        (
            200,
            2.0,
            ["Vermelho", "Mudança forte em Speed &lt;of&gt; it (speed)", "em até 4 horas", "§3.1"],
        ),
        (0, 0.0, ["Sem dados", "Nenhuma predição", "INFERENCE_STORE"]),
        (9, 0.0, ["Inconclusivo", "9 instâncias comparadas", "ao menos 30", "--last_n_days"]),
    ],
)
def test_the_verdict_comes_first_and_says_what_to_do(
    rows: int, shift: float, words: list[str]
) -> None:
    """The header has the status, a summary sentence and the runbook's next step."""
    header = re.search(r"<header.*?</header>", page(rows, shift), re.DOTALL)
    assert header is not None
    assert all(word in header.group() for word in words)


def test_the_page_needs_nothing_else() -> None:
    """The page has no script or external resource, and is smaller than 500 kB."""
    html = page(200, 2.0)
    assert "<script" not in html
    assert not re.search(r"(src=|@import|<link|url\()", html)
    assert set(re.findall(r'href="(http://[^/]+)', html)) == {"http://mlflow"}
    assert len(html) < 500_000


def test_what_comes_from_data_is_escaped() -> None:
    """Categories and descriptions are HTML-escaped."""
    html = page(200)
    assert "<b>a</b>" not in html
    assert "&lt;b&gt;a&lt;/b&gt;" in html
    assert "Speed &lt;of&gt; it" in html


def test_the_worst_feature_is_on_top() -> None:
    """The feature with the worst status is listed first."""
    html = page(200, 2.0)
    assert html.index("<b>speed</b>") < html.index("<b>kind</b>")


def test_thresholds_and_volumes_are_told() -> None:
    """Volume and PSI limits are shown in Portuguese number format."""
    html = page(200)
    assert "≥ 0,10" in html
    assert "≥ 0,25" in html
    assert "200 instâncias" in html


def test_a_yellow_headline_names_what_moved() -> None:
    """A YELLOW headline states a moderate change and names the feature."""
    result = compare(fit_baseline(table(700)), table(400, 0.4))
    assert result.global_status == "YELLOW"
    assert headline(result, facts(400)).startswith(
        "Mudança moderada em Speed <of> it (speed) nos dados"
    )


def test_one_instance_is_singular() -> None:
    """A window of one row is worded in the singular."""
    result = compare(fit_baseline(table(700)), table(1))
    assert "1 instância comparada com a baseline" in headline(result, facts(1))
    assert "em 1 pedido" in render(result, facts(1))


def test_repeated_scoring_is_said() -> None:
    """With repeated entities both instances and entities are stated."""
    result = compare(fit_baseline(table(700)), table(40))
    html = render(result, facts(400, 40))
    assert "400 instâncias" in html
    assert "contam 40 entidades" in html
    assert "40 entidades comparadas" in headline(result, facts(400, 40))
    assert "entidade" not in render(result, facts(40))


def test_the_third_level_prints_the_rollback() -> None:
    """RED drift with DEGRADED performance shows L3 and the rollback command."""
    result = compare(fit_baseline(table(700)), table(200, 2.0))
    html = render(result, facts(200, drift="RED", performance="DEGRADED"))
    assert "L3: drift vermelho e desempenho pior" in html
    assert "python -m mlflow_project.registry rollback --reason" in html
    assert "registry rollback" not in page(200, 2.0)


def test_the_expected_performance_is_shown_with_its_assumption() -> None:
    """Expected performance, test metric and calibration assumption are shown, if estimated."""
    result = compare(fit_baseline(table(700)), table(200))
    tally = ScoreTally()
    tally.add(np.repeat([0.9, 0.8, 0.1, 0.2], 10), np.repeat([1, 1, 0, 0], 10))
    html = render(result, facts(200, foretold=tally.estimate()))
    assert "Desempenho esperado" in html
    assert "0,850" in html  # (0.9 + 0.8) / 2, both recall and precision
    assert "0,875" in html
    assert "calibrado" in html
    assert "Desempenho esperado" not in render(result, facts(200))


def test_a_look_that_could_not_tell_leaves_the_earlier_verdict() -> None:
    """An inconclusive page shows the standing RED verdict, and nothing in green."""
    result = compare(fit_baseline(table(700)), table(9))
    html = render(result, facts(9, drift="RED", standing="RED"))
    header = re.search(r"<header.*?</header>", html, re.DOTALL)
    assert header is not None
    assert 'class="verdict none"' in header.group()
    assert "Continua valendo o veredito de um relatório anterior: Vermelho." in header.group()
    assert "Com menos de 30 linhas pontuadas não se prevê desempenho" in html
    assert "verde: " not in html
    assert 'badge green"' not in html
    assert "fill green" not in html


def test_the_ranges_hold_what_the_last_change_of_year_taught() -> None:
    """Ranges widened by the error at the last change of year are explained with its size."""
    result = compare(fit_baseline(table(700)), table(200))
    tally = ScoreTally()
    tally.add(np.repeat([0.9, 0.8, 0.1, 0.2], 10), np.repeat([1, 1, 0, 0], 10))
    found = tally.estimate()
    assert found is not None
    html = render(result, facts(200, foretold=found.widened({"recall": 0.108})))
    assert "na última mudança de ano" in html
    assert "Recall 0,108" in html
    assert "na última mudança de ano" not in render(result, facts(200, foretold=found))


def test_classes_are_told_by_name_and_as_the_output() -> None:
    """For a classifier without scores the page names the output and its classes."""
    rng = np.random.default_rng(0)
    before, now = (
        table(rows).set_column(
            2, "score", pa.array(rng.choice(["cheap", "dear"], rows, p=[p, 1 - p]))
        )
        for rows, p in ((700, 0.8), (300, 0.3))
    )
    result = compare(fit_baseline(before), now)
    told = facts(300, drift="RED")
    told = replace(told, contract=replace(told.contract, outputs=("y",), output_kind="classes"))
    assert result.score is not None
    assert result.score.status == "RED"
    assert "a saída" in headline(result, told)
    html = render(result, told)
    for words in ("<h2>Saída</h2>", "cheap", "Nenhum desempenho é previsto", "Saída: com os"):
        assert words in html, words
    assert "<h2>Score</h2>" not in html
