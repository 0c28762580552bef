"""The drift report as one self-contained page in Portuguese, and the sentence that sums it up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from mlflow_project.contract.model import Feature, ModelContract
from monitoring.drift import ColumnDrift, DriftResult, Status
from monitoring.plots import Histogram, histogram, number, percent

_TEMPLATES = Path(__file__).with_name("templates")
_RANK = {Status.RED: 0, Status.YELLOW: 1, Status.GREEN: 2, Status.NO_DATA: 3}

WORDS: Mapping[Status, str] = {
    Status.GREEN: "Verde",
    Status.YELLOW: "Amarelo",
    Status.RED: "Vermelho",
    Status.NO_DATA: "Sem dados",
}


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
            f"recebeu: {_instances(facts.n_instances)} comparadas com o baseline."
        )
    worst = _ranked(result)
    named = [row.name for row in worst if row.status is result.global_status]
    shown = [*named[:3], *([f"mais {len(named) - 3}"] if len(named) > 3 else [])]
    listed = " e ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
    size = "forte" if result.global_status is Status.RED else "moderada"
    return (
        f"Mudança {size} em {listed}: {_instances(facts.n_instances)} da versão "
        f"{facts.model_version} comparadas com o baseline."
    )


def actions(result: DriftResult) -> list[str]:
    """Return what to do now, from the runbook's mitigation (§3) and escalation (§6)."""
    status = result.global_status
    if status is Status.NO_DATA:
        return [
            "Confira se a API está no ar e se esta versão é a que responde: "
            "curl http://localhost:8000/health",
            "Confira se o relatório lê o diretório em que a API grava (INFERENCE_STORE).",
            "Se ninguém pediu predições na janela, aumente --last_n_days.",
        ]
    if status is Status.GREEN:
        return ["Nada a fazer. Repita na próxima rotina (runbook §4)."]
    todo = (
        ["L2: investigue a causa em até 4 horas (runbook §6)."]
        if status is Status.RED
        else ["L1: monitore por 24 horas e gere o relatório de novo amanhã (runbook §6)."]
    )
    if any(row.status in (Status.RED, Status.YELLOW) for row in result.features):
        todo.append(
            "Features: verifique se o sistema de origem mudou (unidade, escala, preenchimento) e "
            "compare as distribuições abaixo (runbook §3.1)."
        )
    if result.score is not None and result.score.status in (Status.RED, Status.YELLOW):
        todo.append(
            "Score: com os resultados reais em mãos, confira o desempenho; se caiu, retreine; "
            "se não caiu, atualize o baseline (runbook §3.2)."
        )
    return todo


def sensitivity(n_instances: int) -> str:
    """Return what a window of this size can show at all (docs/drift-statistics.md)."""
    if n_instances < 30:
        return "menos de 30 instâncias: só mudanças muito grandes podem ser comprovadas"
    if n_instances < 100:
        return "janela pequena: deslocamentos de menos de 1 desvio-padrão podem passar sem alarme"
    if n_instances < 200:
        return "deslocamentos de menos de meio desvio-padrão podem passar sem alarme"
    return "um deslocamento de meio desvio-padrão é notado em mais de 90 % das vezes"


def render(result: DriftResult, facts: ReportFacts) -> str:
    """Return the page; it needs no other file and no network."""
    features = {feature.name: feature for feature in facts.contract.features}
    return _template().render(
        result=result,
        facts=facts,
        headline=headline(result, facts),
        actions=actions(result),
        sensitivity=sensitivity(facts.n_instances),
        rows=[_row(drift, features.get(drift.name)) for drift in _ranked(result, score=False)],
        score=_row(result.score, None) if result.score else None,
        policy=result.policy,
    )


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
        reasons.append(f"{_rows(drift.novel_rows)} fora do que o baseline tem")
    return tuple(reasons)


def _instances(count: int) -> str:
    return "1 instância" if count == 1 else f"{number(count, 0)} instâncias"


def _rows(count: int) -> str:
    return "1 valor" if count == 1 else f"{number(count, 0)} valores"


def _moment(value: datetime | str) -> str:
    """Return a time in the reader's zone."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone().strftime("%d/%m/%Y %H:%M")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, moment=_moment)
    environment.globals.update(words={str(status): word for status, word in WORDS.items()})
    return environment.get_template("drift_report.html")
