"""The performance report as one self-contained page in Portuguese, and its one sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.metrics.calibration import CalibrationBin
from core.metrics.classification import LABEL_METRICS
from core.metrics.resampling import Estimate
from monitoring.pages.page import counted, joined, template
from monitoring.pages.plots import number, percent
from monitoring.performance.groups import Part
from monitoring.performance.labels import Labels
from monitoring.performance.matching import Matched
from monitoring.performance.verdict import (
    Comparison,
    PerformanceResult,
    PerformanceStatus,
)
from monitoring.tracking.escalation import Escalation

NAMES: Mapping[str, str] = {
    "recall": "Recall",
    "precision": "Precisão",
    "f2": "F2",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "brier": "Brier",
    "ece": "Erro de calibração (ECE)",
    "share_flagged": "Parte sinalizada",
    "positive_rate": "Parte com resultado 1",
}
"""Metrics in the order of the table, as people read them."""

MEANINGS: Mapping[str, str] = {
    "recall": "dos que tiveram resultado 1, quantos foram sinalizados",
    "precision": "dos sinalizados, quantos tiveram resultado 1",
    "f2": "recall e precisão juntos, o recall com peso quatro",
    "roc_auc": "quão bem o score ordena; 0,5 é acaso",
    "pr_auc": "precisão média; depende de quantos têm resultado 1",
    "brier": "erro quadrático médio do score; menor é melhor",
    "ece": "distância média entre score e frequência; nunca é zero em amostras pequenas",
}
_PARTLY = ("recall", "precision", "f2", "roc_auc", "brier")
_COLORS = {"OK": "green", "DEGRADED": "red", "NO_DATA": "no_data"}


@dataclass(frozen=True, slots=True)
class PerformanceFacts:
    """What the report is about: version, window, labels and how they met, where to read on."""

    model_name: str
    model_version: str
    registry_version: int
    window_start: datetime | None
    window_end: datetime
    labels: Labels
    matched: Matched
    escalation: Escalation
    run_id: str
    run_url: str
    version_url: str

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain data, fit for JSON; no key of a label is among them."""
        start = self.window_start
        return {
            "model_name": self.model_name,
            "model_version": self.model_version,
            "registry_version": self.registry_version,
            "window_start": start.isoformat(timespec="seconds") if start else None,
            "window_end": self.window_end.isoformat(timespec="seconds"),
            **volumes(self),
            "escalation": self.escalation.to_dict(),
            "mlflow_run_id": self.run_id,
            "mlflow_run_url": self.run_url,
        }


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric as the table shows it."""

    name: str
    meaning: str
    now: Estimate
    test: Comparison | None
    status: str | None


def volumes(facts: PerformanceFacts) -> dict[str, Any]:
    """Return how many answers and labels there were, and how many met."""
    labels, matched = facts.labels, facts.matched
    return {
        "joined_by": labels.by,
        "n_instances": matched.n_answers,
        "n_entities": matched.n_entities,
        "n_label_rows": labels.n_rows,
        "n_labels_unknown": labels.n_unknown,
        "n_labels_duplicate": labels.n_duplicates,
        "n_labels_conflicting": labels.n_conflicts,
        "n_labels_unmatched": matched.n_unmatched,
        "n_instances_labelled": matched.n_labelled,
        "n_entities_labelled": matched.n_rows,
        "coverage": matched.coverage,
    }


def headline(result: PerformanceResult, facts: PerformanceFacts) -> str:
    """Return the verdict in one sentence."""
    rows = counted(result.n_rows, "resultado", "resultados")
    version = facts.model_version
    if result.status is PerformanceStatus.NO_DATA:
        return f"Ainda não há veredito sobre o desempenho da versão {version}: {result.reason}."
    if result.status is PerformanceStatus.OK:
        return f"A versão {version} não está comprovadamente pior que no teste dela, em {rows}."
    worse = [
        f"{NAMES[name]} {number(result.metrics[name].value, 3)} "
        f"(teste: {number(result.against_test[name].test, 3)})"
        for name in result.degraded()
    ]
    return (
        f"A versão {version} está comprovadamente pior que no teste dela, em {rows}: "
        f"{joined(worse)}."
    )


def coverage(facts: PerformanceFacts) -> str:
    """Return how much of the window the labels speak for, in one sentence."""
    matched, labels = facts.matched, facts.labels
    known = f"{counted(matched.n_rows, 'resultado', 'resultados')} de "
    known += counted(matched.n_entities, "entidade pontuada", "entidades pontuadas")
    text = f"Cobertura: {known} ({percent(matched.coverage)})"
    if matched.n_labelled > matched.n_rows:
        text += f"; {number(matched.n_labelled, 0)} respostas antes de contar só a última de cada"
    left_out = [
        (matched.n_unmatched, "sem predição na janela"),
        (labels.n_unknown, "sem chave ou sem valor"),
        (labels.n_duplicates, "repetidos"),
        (labels.n_conflicts, "com respostas contraditórias (fora da conta)"),
    ]
    listed = ", ".join(f"{number(n, 0)} {words}" for n, words in left_out if n)
    return f"{text}. Resultados do arquivo: {listed}." if listed else f"{text}."


def actions(result: PerformanceResult, facts: PerformanceFacts) -> list[str]:
    """Return what to do now, from the runbook."""
    todo = [facts.escalation.action] if facts.escalation.action else []
    if result.status is PerformanceStatus.NO_DATA:
        if facts.labels.by == "entity" and facts.labels.targets and not facts.matched.n_rows:
            todo.append(
                "Confira se PSEUDONYM_KEY é a chave que a API usa: com outra, nada se liga."
            )
        return [
            *todo,
            "Confira se os resultados são de predições desta versão e desta janela.",
            "Repita quando houver mais resultados; até lá, o relatório de drift traz o desempenho "
            "esperado.",
        ]
    if result.status is PerformanceStatus.DEGRADED:
        return [*todo, "Retreine com os dados recentes (runbook §3.5) ou volte atrás (§3.4)."]
    return todo or ["Nada a fazer. Se houve drift, ele é aceitável: atualize a baseline (§4.3)."]


def render(result: PerformanceResult, facts: PerformanceFacts) -> str:
    """Return the page; it needs no other file and no network."""
    return template("performance_report.html").render(
        result=result,
        facts=facts,
        headline=headline(result, facts),
        actions=actions(result, facts),
        command=facts.escalation.command,
        coverage=coverage(facts),
        color=_COLORS[result.status],
        rows=[_row(name, result) for name in NAMES if name in result.metrics],
        parts=[
            ("Por mês da predição", "Mês", _cells(result.months)),
            *((f"Por {c}", "Valor", _cells(parts)) for c, parts in result.groups.items()),
        ],
        part_names=[NAMES[name] for name in _PARTLY],
        guarded=[(NAMES[name], allowed) for name, allowed in result.policy.allowed.items()],
        calibration=[_calibration(found) for found in result.calibration],
        policy=result.policy,
    )


def _cells(parts: Sequence[Part]) -> list[tuple[Part, list[Estimate]]]:
    """Return each part with the estimates that its row of a table shows."""
    return [(part, [part.metrics.get(n, Estimate(None)) for n in _PARTLY]) for part in parts]


def _row(name: str, result: PerformanceResult) -> MetricRow:
    found = result.against_test.get(name)
    status = None
    if found is not None and found.allowed is not None:
        status = "DEGRADED" if found.degraded else "OK"
    meaning = MEANINGS.get(name, "")
    if name in LABEL_METRICS and not result.same_threshold:
        meaning = f"{meaning}; outro limiar que o do teste, não comparável".lstrip("; ")
    return MetricRow(NAMES[name], meaning, result.metrics[name], found, status)


def _calibration(found: CalibrationBin) -> tuple[CalibrationBin, float]:
    return found, found.positive_rate - found.mean_score
