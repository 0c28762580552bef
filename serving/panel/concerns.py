"""What someone has to know or to do, worst first, with the section of the runbook. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from core.contract import names
from serving.following.history import Report
from serving.panel.content import Color, PanelFacts, latest
from serving.panel.wording import counted, duration, joined, moment
from serving.telemetry.slo import Levels

_RANK: tuple[Color, ...] = ("red", "yellow", "none", "green")
STALE = timedelta(days=8)
"""A drift report older than the weekly routine of runbook §4.2, with a day's grace."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something to know or to do."""

    color: Color
    text: str


def concerns(facts: PanelFacts) -> list[Concern]:
    """Return all concerns, the worst first."""
    found = [*_of_service(facts), *_of_levels(facts), *_of_reports(facts)]
    return sorted(found, key=lambda concern: _RANK.index(concern.color))


def headline(facts: PanelFacts) -> Concern:
    """Return the worst color and the sentence that sums the page up."""
    colors: list[Color] = [concern.color for concern in concerns(facts)]
    worst: Color = colors[0] if colors else "green"
    served = facts.health.model_version
    what = f"{facts.model_name} {served} no ar" if served else f"{facts.model_name} fora do ar"
    sentences: dict[Color, str] = {
        "red": f"Alguém precisa agir: {what}",
        "yellow": f"Atenção: {what}",
        "none": f"Sem alarmes: {what}",
        "green": f"Tudo em ordem: {what}",
    }
    return Concern(worst, sentences[worst])


def _of_service(facts: PanelFacts) -> list[Concern]:
    health, found = facts.health, []
    if not health.model_loaded:
        text = "Nenhum modelo carregado: a API responde 503 a quem pergunta (§1.3)."
        found.append(Concern("red", text))
    if facts.capture.lost:
        lost = counted(
            facts.capture.lost, "resposta não foi guardada", "respostas não foram guardadas"
        )
        found.append(Concern("red", f"{lost}: verifique o disco do servidor (§1.5)."))
    override = health.reasons[-1:] if health.threshold_source == "env" else []
    found += [Concern("none", f"{reason} (§3.3).") for reason in override]
    if health.status == "degraded":
        alarms = health.reasons[: len(health.reasons) - len(override)]
        found += [Concern("yellow", f"API degradada (§1.5): {reason}.") for reason in alarms]
    elif facts.degraded:
        who = counted(
            facts.degraded, "outro processo está degradado", "outros processos estão degradados"
        )
        found.append(Concern("yellow", f"{who}; o log diz por quê (§2.2)."))
    if len(facts.groups) > 1:
        listed = joined([f"{g.release or 'nenhuma'} em {g.count}" for g in facts.groups])
        text = f"Os processos servem versões diferentes ({listed}); em uma troca, por segundos."
        found.append(Concern("yellow", text))
    if facts.reading.problem and health.registry_reachable:
        found.append(Concern("yellow", f"O histórico não pôde ser lido: {facts.reading.problem}."))
    return found


def _of_levels(facts: PanelFacts) -> list[Concern]:
    hour, day = _missed(facts.hour), _missed(facts.day)
    if hour == day:
        spoken = [("na última hora e no último dia", hour)]
    else:
        spoken = [("na última hora", hour), ("no último dia", day)]
    return [
        Concern("yellow", f"Fora da meta {when}: {joined(missed)}.")
        for when, missed in spoken
        if missed
    ]


def _missed(levels: Levels) -> list[str]:
    named = (
        (levels.latency, "latência (§1.4)"),
        (levels.errors, "taxa de erro (§1.3)"),
        (levels.availability, "disponibilidade (§1.5)"),
    )
    return [text for level, text in named if level.met is False]


def _of_reports(facts: PanelFacts) -> list[Concern]:
    drift, performance = latest(facts, names.JOB_DRIFT), latest(facts, names.JOB_PERFORMANCE)
    found = []
    if any(report and report.escalation == "L3" for report in (drift, performance)):
        text = "L3: drift vermelho e desempenho pior. Decidam o rollback (§3.4) e avisem (§6)."
        found.append(Concern("red", text))
    if drift is not None and drift.status == "RED":
        found.append(
            Concern("red", "Drift vermelho: investigar a causa em até 4 horas (§3.1, §6).")
        )
    if drift is not None and drift.status == "YELLOW":
        found.append(Concern("yellow", "Drift amarelo: acompanhar por 24 horas (§6)."))
    if performance is not None and performance.status == "DEGRADED":
        text = "Desempenho pior que no teste: investigar em até 4 horas (§3.2, §6)."
        found.append(Concern("red", text))
    if facts.reading.when is not None and facts.health.model_loaded:
        found += _of_routine(facts, drift)
    return found


def _of_routine(facts: PanelFacts, drift: Report | None) -> list[Concern]:
    """Return what the routine of runbook §4 left undone."""
    history = facts.reading.history
    found = []
    for reports, name in ((history.drift, "drift"), (history.performance, "desempenho")):
        if reports and reports[0].failed:
            text = f"O último relatório de {name} falhou, em {moment(reports[0].when)}."
            found.append(Concern("yellow", text))
    if drift is None:
        text = "Ainda não há relatório de drift da versão no ar (§2.1)."
        found.append(Concern("none", text))
    elif facts.now - drift.when > STALE:
        age = duration(facts.now - drift.when)
        text = f"O último relatório de drift tem {age}; a rotina é semanal (§4.2)."
        found.append(Concern("yellow", text))
    return found
