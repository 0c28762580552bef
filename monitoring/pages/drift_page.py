"""The drift report as one self-contained page in Portuguese, and the sentence that sums it up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.contract.model import Feature, ModelContract
from core.metrics.resampling import Estimate
from monitoring.drift.comparison import ColumnDrift, DriftResult, Status
from monitoring.drift.expected import ExpectedPerformance
from monitoring.pages.page import counted, joined, template
from monitoring.pages.plots import Histogram, histogram, number
from monitoring.tracking.escalation import Escalation

EXPECTED: Mapping[str, str] = {
    "recall": "Recall",
    "precision": "Precisão",
    "f2": "F2",
    "roc_auc": "ROC-AUC",
    "positive_rate": "Parte com resultado 1",
}
"""Numbers that calibrated scores foretell, as people read them."""
_RANK = {Status.RED: 0, Status.YELLOW: 1, Status.GREEN: 2, Status.NO_DATA: 3}


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the report is about: version, baseline, window, volumes, and where to read on."""

    contract: ModelContract
    model_name: str
    model_version: str
    registry_version: int
    baseline_created_at: str
    baseline_source: str
    window_start: datetime
    window_end: datetime
    n_requests: int
    n_instances: int
    n_entities: int
    escalation: Escalation
    expected: ExpectedPerformance | None
    test_metrics: Mapping[str, float]
    run_id: str
    run_url: str
    version_url: str

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain data, fit for JSON."""
        return {
            "model_name": self.model_name,
            "model_version": self.model_version,
            "registry_version": self.registry_version,
            "baseline_created_at": self.baseline_created_at,
            "baseline_source": self.baseline_source,
            "window_start": self.window_start.isoformat(timespec="seconds"),
            "window_end": self.window_end.isoformat(timespec="seconds"),
            "n_requests": self.n_requests,
            "n_instances": self.n_instances,
            "n_entities": self.n_entities,
            "escalation": self.escalation.to_dict(),
            "expected_performance": self.expected.to_dict() if self.expected else None,
            "mlflow_run_id": self.run_id,
            "mlflow_run_url": self.run_url,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One column as the table shows it."""

    drift: ColumnDrift
    feature: Feature | None
    plot: Histogram
    reasons: tuple[str, ...]


def headline(result: DriftResult, facts: ReportFacts) -> str:
    """Return the verdict in one sentence."""
    if result.global_status is Status.NO_DATA:
        return (
            f"Nenhuma predição da versão {facts.model_version} foi capturada na janela: "
            "não há o que comparar."
        )
    if result.global_status is Status.GREEN:
        return (
            f"Nenhuma mudança comprovada nos dados que a versão {facts.model_version} "
            f"recebeu: {_compared(facts)} com a baseline."
        )
    worst = _ranked(result)
    named = [row.name for row in worst if row.status is result.global_status]
    shown = [*named[:3], *([f"mais {len(named) - 3}"] if len(named) > 3 else [])]
    listed = joined(shown)
    size = "forte" if result.global_status is Status.RED else "moderada"
    return (
        f"Mudança {size} em {listed} nos dados que a versão {facts.model_version} recebeu: "
        f"{_compared(facts)} com a baseline."
    )


def repeated(facts: ReportFacts) -> str | None:
    """Return what was left out because an entity was scored again, or None."""
    if facts.n_entities == facts.n_instances:
        return None
    return (
        f"Das {counted(facts.n_instances, 'instância', 'instâncias')} da janela contam "
        f"{counted(facts.n_entities, 'entidade', 'entidades')}: de quem foi pontuado mais de uma "
        "vez, só a última; instâncias sem identificação contam uma a uma."
    )


def expectation(facts: ReportFacts) -> str | None:
    """Return what performance the scores foretell, in one line, or None without scores."""
    if facts.expected is None:
        return None
    listed = ", ".join(
        f"{words} {number(getattr(facts.expected, name).value, 3)}"
        for name, words in EXPECTED.items()
    )
    return f"Desempenho esperado, se os scores estão calibrados: {listed}."


def actions(result: DriftResult, escalation: Escalation) -> list[str]:
    """Return what to do now, from the runbook's mitigation (§3) and escalation (§6)."""
    todo = [escalation.action] if escalation.action else []
    if result.global_status is Status.NO_DATA:
        return [
            *todo,
            "Confira se a API está no ar e se esta versão é a que responde: "
            "curl http://localhost:8000/health",
            "Confira se o relatório lê o diretório em que a API grava (INFERENCE_STORE).",
            "Se ninguém pediu predições na janela, aumente --last_n_days.",
        ]
    if result.global_status is Status.GREEN:
        return todo or ["Nada a fazer. Repita na próxima rotina (runbook §4)."]
    if any(row.status in (Status.RED, Status.YELLOW) for row in result.features):
        todo.append(
            "Features: verifique se o sistema de origem mudou (unidade, escala, preenchimento) e "
            "compare as distribuições abaixo (runbook §3.1)."
        )
    if result.score is not None and result.score.status in (Status.RED, Status.YELLOW):
        todo.append(
            "Score: com os resultados reais em mãos, confira o desempenho; se caiu, retreine; "
            "se não caiu, atualize a baseline (runbook §3.2)."
        )
    return todo


def sensitivity(n_rows: int) -> str:
    """Return what a window of this size can show at all (docs/drift-statistics.md)."""
    if n_rows < 30:
        return "menos de 30 instâncias: só mudanças muito grandes podem ser comprovadas"
    if n_rows < 100:
        return "janela pequena: deslocamentos de menos de 1 desvio-padrão podem passar sem alarme"
    if n_rows < 200:
        return "deslocamentos de menos de meio desvio-padrão podem passar sem alarme"
    return "um deslocamento de meio desvio-padrão é notado em mais de 90 % das vezes"


def render(result: DriftResult, facts: ReportFacts) -> str:
    """Return the page; it needs no other file and no network."""
    features = {feature.name: feature for feature in facts.contract.features}
    return template("drift_report.html").render(
        result=result,
        facts=facts,
        headline=headline(result, facts),
        actions=actions(result, facts.escalation),
        command=facts.escalation.command,
        sensitivity=sensitivity(facts.n_entities),
        repeated=repeated(facts),
        color=result.global_status,
        expected=_expected_rows(facts),
        rows=[_row(drift, features.get(drift.name)) for drift in _ranked(result, score=False)],
        score=_row(result.score, None) if result.score else None,
        policy=result.policy,
    )


def _expected_rows(facts: ReportFacts) -> list[tuple[str, Estimate, float | None]]:
    """Return name, estimate and the version's own test value of each number foretold."""
    if facts.expected is None:
        return []
    return [
        (words, getattr(facts.expected, name), facts.test_metrics.get(name))
        for name, words in EXPECTED.items()
    ]


def _ranked(result: DriftResult, *, score: bool = True) -> list[ColumnDrift]:
    """Return the columns, worst first, then by the size of the change."""
    columns = [*result.features, *([result.score] if result.score and score else [])]
    return sorted(columns, key=lambda column: (_RANK[column.status], -(column.effect or 0.0)))


def _row(drift: ColumnDrift, feature: Feature | None) -> Row:
    return Row(drift, feature, histogram(drift.baseline, drift.current), _reasons(drift))


def _reasons(drift: ColumnDrift) -> tuple[str, ...]:
    """Return why a column has its status, in words."""
    reasons = []
    if drift.psi_status in (Status.RED, Status.YELLOW):
        reasons.append("a distribuição mudou")
    if drift.missing_status in (Status.RED, Status.YELLOW):
        grew = (drift.missing_delta or 0) > 0
        reasons.append("faltam mais valores" if grew else "faltam menos valores")
    if reasons and drift.novel_rows:
        reasons.append(
            f"{counted(drift.novel_rows, 'valor', 'valores')} fora do que a baseline tem"
        )
    return tuple(reasons)


def _compared(facts: ReportFacts) -> str:
    one, many = ("instância", "instâncias")
    if facts.n_entities != facts.n_instances:
        one, many = ("entidade", "entidades")
    return counted(facts.n_entities, f"{one} comparada", f"{many} comparadas")
