"""The shadow report as one self-contained page in Portuguese, and its one sentence."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from monitoring.drift.baseline import SCORE, count_profiles, fit_profiles
from monitoring.pages.page import counted, template
from monitoring.pages.plots import Histogram, histogram, percent
from monitoring.performance.agreement import Agreement


@dataclass(frozen=True, slots=True)
class ShadowFacts:
    """What the report is about: both versions, the window, and where to read on."""

    model_name: str
    model_version: str
    registry_version: int
    answered_version: str
    window_start: datetime
    window_end: datetime
    run_id: str
    run_url: str
    version_url: str

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain data, fit for JSON."""
        times = {
            name: getattr(self, name).isoformat(timespec="seconds")
            for name in ("window_start", "window_end")
        }
        return {**asdict(self), **times}


def headline(result: Agreement, facts: ShadowFacts) -> str:
    """Return the comparison in one sentence."""
    shadow, answered = facts.model_version, facts.answered_version
    if not result.n_entities:
        return f"Na janela, nenhuma linha foi pontuada por {answered} e, como sombra, por {shadow}."
    return (
        f"Em {counted(result.n_entities, 'entidade', 'entidades')}, {shadow} (sombra) e {answered} "
        f"discordam em {percent(result.share_differ.value)}: {result.n_only_answered} só "
        f"{answered} sinaliza, {result.n_only_shadow} só {shadow}."
    )


def actions(result: Agreement, facts: ShadowFacts) -> list[str]:
    """Return what to do with it."""
    if not result.n_entities:
        return [
            "Confira se a API foi iniciada com SHADOW_ALIAS=challenger e se houve pedidos.",
            "Confira em /health, em shadow, qual versão ela acompanha; indique-a com --shadow.",
        ]
    flagged = [
        (result.n_both + only) / result.n_entities
        for only in (result.n_only_answered, result.n_only_shadow)
    ]
    return [
        f"Se {facts.model_version} for promovida, a parte sinalizada vai de {percent(flagged[0])} "
        f"a {percent(flagged[1])}.",
        "Concordar não é acertar: qual das duas acerta, só os resultados reais mostram "
        "(runbook §3.2).",
    ]


def render(result: Agreement, paired: pa.Table, facts: ShadowFacts) -> str:
    """Return the page; it needs no other file and no network."""
    return template("shadow_report.html").render(
        result=result,
        facts=facts,
        headline=headline(result, facts),
        actions=actions(result, facts),
        command=None,
        color="no_data",
        plot_of=_plot(paired, facts) if result.n_entities else None,
    )


def _plot(paired: pa.Table, facts: ShadowFacts) -> Histogram:
    """Lay out both scores in the bins of the answered one."""
    before = fit_profiles(paired.select([SCORE]))
    now = count_profiles(before, pa.table({SCORE: paired.column("shadow_score")}))
    return histogram(before[0], now[0], (facts.answered_version, facts.model_version))
