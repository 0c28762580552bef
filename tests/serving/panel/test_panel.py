"""The operators' page rendered from given facts: concerns, origins, links, escaping."""

import itertools
import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.contract import names
from core.registry.proxies import ProxyReport, ProxyState
from serving.deployment.trial import Measure
from serving.http.pages import page_policy
from serving.http.schemas import CanaryState, CaptureState, Health
from serving.metrics.families import LATENCY_BOUNDS
from serving.metrics.slo import DAY, HOUR, ServiceTally, Slices, levels, window
from serving.panel.background import BackgroundReader, Reading
from serving.panel.concerns import concerns, headline
from serving.panel.content import (
    Group,
    PanelFacts,
    flip_effect,
    served_since,
    threshold_origin,
    whose_flip,
)
from serving.panel.counts import Count, Counts
from serving.panel.history import Change, FlipEffect, History, ReportRun
from serving.panel.page import Links, render
from serving.panel.trend import cause_of, trend

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
POLICY = {
    "psi_warning": "0.1",
    "psi_alert": "0.25",
    "missing_delta_warning": "0.05",
    "missing_delta_alert": "0.1",
}
COUNTS = Counts(2026, Count(30, 12), (Count(20, 10, "1"), Count(10, 2)), "Etapa (fase)", "ra")
EVIL = "<script>alert('x')</script>"


def health(**changes: Any) -> Health:
    """Return the health of a worker that serves version 3."""
    fine = Health(
        status="healthy",
        model_loaded=True,
        model_version="v1.2.0",
        registry_version=3,
        model_source="registry",
        alias="champion",
        alias_version=3,
        threshold_source="metadata",
        registry_reachable=True,
        capture=CaptureState(10, 2, 0),
        shadow=None,
        canary=None,
        uptime_seconds=60.0,
        reasons=[],
    )
    return replace(fine, **changes)


def report(job: str = "drift", status: str | None = "GREEN", **changes: Any) -> ReportRun:
    """Return a report run on version 3, one day old."""
    made = ReportRun(
        job=job,
        run_id="a" * 32,
        experiment_id="7",
        when=NOW - timedelta(days=1),
        release="v1.2.0",
        number="3",
        status=status,
        failed=False,
        escalation="NONE",
        sentence="Nenhuma mudança comprovada.",
        params={**POLICY, "last_n_days": "7"},
        metrics={"psi_effect.wear": 0.05, "missing_delta.wear": 0.01, "n_entities": 1200.0},
    )
    return replace(made, **changes)


def change(action: str = names.LEDGER_PROMOTE, **changes: Any) -> Change:
    """Return the ledger's entry of the flip to version 3."""
    made = Change(action, NOW - timedelta(days=3), "ana", "melhor recall", "2", "3", "")
    return replace(made, **changes)


def history(*reports: ReportRun, changes: tuple[Change, ...] = (change(),)) -> Reading:
    """Return a reading, made now, of reports and ledger changes."""
    by_job = {job: tuple(r for r in reports if r.job == job) for job in ("drift", "performance")}
    return Reading(History(changes, by_job["drift"], by_job["performance"]), NOW)


def facts(tally: ServiceTally | None = None, **changes: Any) -> PanelFacts:
    """Return the facts of a service without concerns."""
    counts = (100,) + (0,) * len(LATENCY_BOUNDS)
    slices = [Slices(0.0, {300: tally or ServiceTally(100, 0, 300.0, 0.0, counts)})]
    fine = PanelFacts(
        now=NOW,
        model_name="máquina",
        health=health(),
        threshold=0.4,
        since=NOW - timedelta(hours=2),
        started=NOW - timedelta(hours=30),
        groups=(Group("v1.2.0", 2),),
        degraded=0,
        capture=CaptureState(1200, 5, 0),
        hour=levels(window(slices, 90_000.0, HOUR), LATENCY_BOUNDS),
        day=levels(window(slices, 90_000.0, DAY), LATENCY_BOUNDS),
        reading=history(report()),
        counts=Reading(COUNTS, NOW),
        mlflow_url="http://mlflow:5000",
    )
    return replace(fine, **changes)


def test_who_serves_what_and_the_canary_are_told() -> None:
    """A proxy that refuses the version is a concern; the canary is shown beside the champion."""
    state = ProxyState("api-2", "champion", "2", "v1.1.0", refused="3", reason="sem contrato")
    known = ProxyReport(replace(state, number="3", refused="", reason="", proxy="api-1"), NOW, NOW)
    told = History(proxies=(known, ProxyReport(state, NOW, NOW)))
    said = CanaryState("canary", "v1.3.0", 4, 10.0, None, None)
    page_facts = facts(
        reading=Reading(told, NOW),
        health=health(canary=said),
        canary=(Measure("errors", 0.01, 0.25, 4.0, 8.0), Measure("same label", None, 0.9, -9, 8)),
    )
    page = render(page_facts)
    assert "1 de 2 proxies servem v1.2.0; api-2 a recusa desde" in page
    assert any("api-2 a recusa" in c.text for c in concerns(page_facts))
    assert "v1.3.0 responde a 10,0 % dos pedidos" in page
    for cell in ("erros", "1,0 %", "25,0 %", "50 %", "mesmo rótulo", "90,0 %"):
        assert cell in page
    stopped = health(canary=replace(said, share=None, stopped="erros 25 %"))
    assert "v1.3.0 está parado neste proxy: erros 25 %." in render(facts(health=stopped))


def test_all_is_well() -> None:
    """Without a concern the headline is green and the page shows that nothing is to be done."""
    assert concerns(facts()) == []
    assert headline(facts()).color == "green"
    page = render(facts())
    assert "Tudo em ordem: máquina v1.2.0 no ar" in page
    assert "Nada a fazer." in page


@pytest.mark.parametrize(
    ("changes", "color", "words"),
    [
        (
            {
                "health": health(
                    model_loaded=False,
                    model_version=None,
                    registry_version=None,
                    status="degraded",
                    reasons=["sem versão"],
                ),
                "threshold": None,
            },
            "red",
            "a API responde 503",
        ),
        ({"capture": CaptureState(5, 0, 2)}, "red", "2 respostas não foram guardadas"),
        ({"reading": history(report(status="RED"))}, "red", "Drift vermelho"),
        ({"reading": history(report(status="RED", escalation="L3"))}, "red", "rollback (§3.4)"),
        ({"reading": history(report("performance", "DEGRADED"), report())}, "red", "§3.2"),
        ({"health": health(status="degraded", reasons=["disco"])}, "yellow", "(§1.5): disco."),
        ({"degraded": 1}, "yellow", "1 outro processo está degradado"),
        (
            {"groups": (Group("v1.1.0", 1), Group("v1.2.0", 3))},
            "yellow",
            "v1.1.0 em 1 e v1.2.0 em 3",
        ),
        ({"reading": history(report(status="YELLOW"))}, "yellow", "acompanhar por 24 horas"),
        (
            {"reading": history(report(when=NOW - timedelta(days=12)))},
            "none",
            "tem 12 dias; a rotina dele é de 7 em 7 dias",
        ),
        ({"reading": history(report(status=None, failed=True), report())}, "yellow", "falhou"),
        ({"reading": replace(history(report()), problem="fora")}, "yellow", "fora"),
        ({"reading": history(report(number="2"))}, "none", "Ainda não há relatório de drift"),
        (
            {"health": health(threshold_source="env", reasons=["THRESHOLD=0.5 em vigor"])},
            "none",
            "THRESHOLD=0.5 em vigor (§3.3).",
        ),
    ],
)
def test_a_concern_leads_the_page(changes: dict[str, Any], color: str, words: str) -> None:
    """A concern sets the header's color and is shown in it, with its runbook section."""
    found = facts(**changes)
    assert headline(found).color == color
    header = re.search(r"<header.*?</header>", render(found), re.DOTALL)
    assert header is not None
    assert f'class="verdict {color}"' in header.group()
    assert words in re.sub("</?a[^>]*>", "", header.group())


def test_a_missed_target_is_said_with_its_window() -> None:
    """Missed latency, error and availability targets are shown with their windows."""
    slow = (0,) * (len(LATENCY_BOUNDS) - 1) + (100, 0)
    found = facts(ServiceTally(100, 5, 300.0, 30.0, slow))
    texts = [concern.text for concern in concerns(found)]
    all_three = "latência (§1.4), taxa de erro (§1.3) e disponibilidade (§1.5)"
    assert texts == [f"Fora da meta na última hora e no último dia: {all_three}."]
    fine = facts(hour=found.hour)
    assert [c.text for c in concerns(fine)] == [f"Fora da meta na última hora: {all_three}."]
    page = render(found)
    assert page.count("Fora da meta</span>") == 6
    assert "5 de 100 pedidos" in page
    assert "90,00 %" in page


def test_reports_of_another_version_do_not_judge_the_served_one() -> None:
    """A report of another version is in the trend but sets no verdict."""
    found = facts(reading=history(report(status="RED", number="2", release="v1.1.0")))
    assert headline(found).color == "none"
    assert "Vermelho</span></td>" in render(found).replace("\n", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ((change(),), "promoção por ana: melhor recall"),
        ((change(names.LEDGER_ROLLBACK, why=""),), "rollback por ana"),
        ((change(names.LEDGER_THRESHOLD, after="0.5", version="3"), change()), "promoção por ana"),
        ((change(names.LEDGER_UNRECORDED),), "fora dos comandos, notada em"),
        ((change(after="2"), change()), "fora dos comandos, ainda sem registro"),
        ((), "fora dos comandos, ainda sem registro"),
    ],
)
def test_whose_flip_it_was(changes: tuple[Change, ...], words: str) -> None:
    """The author is that of the ledger's newest flip, if it led to the served version."""
    found = facts(reading=history(report(), changes=changes))
    assert words in whose_flip(found)
    recorded = "por ana" in words
    assert served_since(found) == (NOW - timedelta(days=3) if recorded else found.since)


def test_the_ledger_is_the_champions() -> None:
    """A proxy that follows another alias shows no ledger entry of the champion as its own."""
    found = facts(health=health(alias="challenger"))
    assert "o servido é challenger" in whose_flip(found)
    assert served_since(found) == found.since


def test_the_threshold_has_an_origin() -> None:
    """The threshold's origin is training, the environment, or the author of the version's tag."""
    by = change(names.LEDGER_THRESHOLD, after="0.3", version="3", why="mais recall")
    reading = history(report(), changes=(by, change()))
    tagged = facts(health=health(threshold_source="tag"), reading=reading)
    assert "mudado por ana" in threshold_origin(tagged)
    assert "mais recall" in threshold_origin(tagged)
    assert "tag" in threshold_origin(facts(health=health(threshold_source="tag")))
    assert "THRESHOLD" in threshold_origin(facts(health=health(threshold_source="env")))
    assert "treino" in threshold_origin(facts())


def daily(age: int, **changes: Any) -> ReportRun:
    """Return a report of the daily routine, `age` days old."""
    params = {**POLICY, "last_n_days": "1"}
    return report(when=NOW - timedelta(days=age), params=params, **changes)


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ((daily(3),), "tem 3 dias; a rotina dele é de 1 em 1 dias"),
        ((report(), daily(3)), "tem 3 dias; a rotina dele é de 1 em 1 dias"),
        ((daily(0, status="NO_DATA"), daily(1)), "não achou linhas"),
        ((daily(0, status="INCONCLUSIVE"), daily(1)), "linhas de menos"),
        ((report("performance", "NO_DATA"), daily(0)), "não achou o que julgar"),
        ((), "Ainda não há relatório de drift"),
    ],
)
def test_not_knowing_is_grey_and_never_green(reports: tuple[ReportRun, ...], words: str) -> None:
    """An overdue report, an empty window or too few rows make the page grey, with the reason."""
    found = facts(reading=history(*reports))
    assert headline(found).color == "none"
    assert headline(found).text.startswith("Não se sabe se está tudo em ordem")
    assert words in concerns(found)[0].text


def test_what_is_not_known_is_said_first_and_hides_no_alarm() -> None:
    """A red verdict remains when a newer report is inconclusive; unknown states come first."""
    reports = (daily(0, status="INCONCLUSIVE"), daily(1, status="RED"))
    found = facts(reading=history(*reports), capture=CaptureState(5, 0, 2))
    colors = [concern.color for concern in concerns(found)]
    assert colors == ["none", "red", "red"]
    assert headline(found).color == "red"
    page = render(found)
    assert "Vermelho</span>" in page
    assert "Inconclusivo</span> no relatório mais novo" in page


def test_how_many_were_scored_and_flagged_by_group() -> None:
    """The page shows total and groups with their shares, or why the counts are unknown."""
    page = re.sub(r"<[^>]+>|\s+", " ", render(facts()))
    assert "Pontuados em 2026" in page
    for line in ("Etapa (fase)", "todos 30 12 40 %", "1 20 10 50 %", "não informado 10 2 20 %"):
        assert line in re.sub(" +", " ", page)
    assert "O último score de cada ra" in page and "Contado em 25/11/2026" in page
    alone = re.sub(r"<[^>]+>|\s+", " ", render(facts(counts=Reading(Counts(2026, Count(3, 1))))))
    assert "Grupo Pontuados" in re.sub(" +", " ", alone)
    assert "ninguém é distinguido" in alone
    assert "Não se sabe: ainda contando" in render(
        facts(counts=Reading(None, None, "ainda contando"))
    )


def test_the_last_flip_says_what_it_changed() -> None:
    """The last flip's changes are shown, unless another version is served by now."""
    effect = FlipEffect("v1.1.0", "v1.2.0", (0.25, 0.4), ("wear",), ("age", "pressure"))
    flipped = facts(reading=Reading(History((change(),), effect=effect), NOW))
    assert flip_effect(flipped) == (
        "v1.1.0 → v1.2.0; limiar 0,2500 → 0,4000; entradas novas: wear; "
        "entradas que saíram: age e pressure"
    )
    assert flip_effect(flipped) in render(flipped)
    same = replace(effect, thresholds=(0.4, 0.4), new_inputs=(), lost_inputs=())
    told = facts(reading=Reading(History((change(),), effect=same), NOW))
    assert flip_effect(told) == "v1.1.0 → v1.2.0; mesmo limiar e mesmas entradas"
    other = Reading(History((change(after="2"),), effect=effect), NOW)
    assert flip_effect(facts(reading=other)) == ""
    assert flip_effect(facts()) == ""


def test_a_latency_beyond_what_is_measured_is_said_to_be_so() -> None:
    """A p95 beyond the histogram's last bound, 10 s, is shown as greater than that."""
    counts = (0,) * len(LATENCY_BOUNDS) + (100,)
    page = render(facts(ServiceTally(100, 0, 300.0, 0.0, counts)))
    assert "&gt; 10.000 ms" in page
    assert "&gt; 10.000 ms" not in render(facts())


def test_section_marks_lead_to_the_runbook() -> None:
    """Section marks are relative links to the runbook, so a path prefix is kept."""
    drift = report(status="RED", sentence="Veja o §3.1 <b>já</b>.", escalation="L2")
    page = render(facts(reading=history(drift)))
    assert '<a href="runbook#3.1">§3.1</a>' in page
    assert '<a href="runbook#5.2">§5.2</a>' in page
    assert "<b>já" not in page
    assert not re.findall(r"§\d[^<]*<(?!/a|/caption)", page)


def test_without_mlflow_the_page_says_so_and_shows_the_rest() -> None:
    """Without MLflow the page shows the problem and the rest, not an absence of reports."""
    gone = Reading(History(), problem="o MLflow não responde")
    page = render(facts(reading=gone, health=health(registry_reachable=False)))
    assert "o MLflow não responde" in page
    assert "que não foi lido" in page
    assert "Nenhum relatório ainda" not in page
    assert "Ainda não há relatório" not in page
    assert "1.200 linhas" in page


def test_what_people_wrote_in_mlflow_is_text() -> None:
    """Reasons, users, sentences, releases and run ids from MLflow are escaped."""
    evil = report(
        sentence=EVIL, release=EVIL, run_id='"><b>', status="RED", escalation=EVIL, number="3"
    )
    page = render(
        facts(
            model_name=EVIL,
            health=health(model_version=EVIL, reasons=[EVIL], status="degraded"),
            reading=Reading(History((change(who=EVIL, why=EVIL),), (evil, evil)), NOW, EVIL),
            groups=(Group(EVIL, 1),),
        )
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert '"><b>' not in page


def test_the_page_needs_nothing_else() -> None:
    """The page has no script and no external files; its policy has the style sheet's digest."""
    page = render(facts())
    assert not re.search(r"<script|<img|<link|src=|@import|url\(|style=|\son[a-z]+=", page)
    assert page.count("<style>") == 1
    assert "script-src" not in page_policy()
    assert page_policy().startswith("default-src 'none'; style-src 'sha256-")
    assert len(page) < 50_000


def test_links_lead_to_mlflow_without_its_password() -> None:
    """Links omit the tracking address's credentials; a local store has no links."""
    links = Links("https://user:secret@mlflow.example:5000/base/", "m/1")
    assert links.model == "https://mlflow.example:5000/base/#/models/m%2F1"
    assert links.run(report()) == (
        f"https://mlflow.example:5000/base/#/experiments/7/runs/{'a' * 32}"
    )
    assert Links("sqlite:///x.db", "m").version(3) is None
    page = render(facts(mlflow_url="https://user:secret@mlflow.example"))
    assert "secret" not in page
    assert "javascript:" not in render(facts(mlflow_url="javascript:alert(1)"))


def test_the_trend_goes_from_old_to_new_within_its_box() -> None:
    """Each finished report has a bar within the chart, also for huge or invalid values."""
    values = [0.05, 0.3, 40.0, float("nan"), float("inf"), -1.0]
    statuses = ["GREEN", "RED", "RED", "NO_DATA", "GREEN", "GREEN"]
    pairs = zip(values, statuses, strict=True)
    reports = [report(status=s, metrics={"psi_effect.wear": v}) for v, s in pairs]
    chart = trend([*reports, report(status=None, failed=True)])
    assert chart is not None
    assert len(chart.bars) == 6
    heights = [bar.height for bar in reversed(chart.bars)]
    assert heights[0] < heights[1] < heights[2] == 100.0
    assert max(heights[3:]) < 5
    assert [bar.x for bar in chart.bars] == sorted(bar.x for bar in chart.bars)
    assert all(bar.y >= 0 and bar.y + bar.height <= 100.001 for bar in chart.bars)
    assert [text for _y, text in chart.lines] == ["aviso", "alerta"]
    assert trend([report()]) is None
    assert trend([report(params={}), report(params={"psi_alert": "x"})]) is not None


def test_dates_below_the_bars_have_room_on_a_phone() -> None:
    """Dates are at least 27 % apart: a chart on a phone is 260 px wide and a date 68 px."""
    for number in range(2, 30):
        chart = trend([report()] * number)
        assert chart is not None
        places = [bar.middle for bar in chart.bars if bar.date]
        assert min(b - a for a, b in itertools.pairwise([*places, 200])) >= 27


@pytest.mark.parametrize(
    ("status", "metrics", "cause"),
    [
        ("YELLOW", {"psi_effect.wear": 0.02, "missing_delta.oil": 0.07}, "oil: valores ausentes"),
        ("RED", {"psi_effect.wear": 0.4, "missing_delta.oil": 0.07}, "wear mudou (PSI 0,40)"),
        ("RED", {"psi_effect_score": 0.3, "psi_effect.wear": 0.12}, "score mudou (PSI 0,30)"),
        ("GREEN", {"psi_effect.wear": 0.4}, ""),
        ("INCONCLUSIVE", {"psi_effect.wear": 0.4}, ""),
    ],
)
def test_a_bar_stands_in_the_band_of_its_color(
    status: str, metrics: dict[str, float], cause: str
) -> None:
    """Yellow bars end between the lines, red ones above both, and the cause is shown."""
    found = report(status=status, metrics=metrics)
    chart = trend([found, report(release="v1.1.0", when=NOW - timedelta(days=9))])
    assert chart is not None
    (warning, _one), (alert, _two) = chart.lines
    before, bar = chart.bars
    low, high = {"YELLOW": (alert, warning), "RED": (0, alert)}.get(status, (warning, 100))
    assert low <= bar.y < high
    assert cause_of(found).startswith(cause)
    assert (bool(cause_of(found)), cause in bar.title) == (bool(cause), True)
    assert (before.date, before.release, bar.release) == ("16/11/2026", "v1.1.0", "v1.2.0")
    page = render(facts(reading=history(found, report())))
    assert (cause or "–") in page


def test_readers_of_a_page_wait_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hung readers cost a page one PATIENCE_SECONDS together, and later reads nothing."""
    monkeypatch.setattr("serving.panel.background.PATIENCE_SECONDS", 1.0)
    never = threading.Event()
    readers = [BackgroundReader(never.wait, False, "slow {seconds}", 10.0) for _ in range(2)]
    for reader in readers:
        reader.begin()
    began = time.monotonic()
    found = [reader.latest() for _look in range(2) for reader in readers]
    assert 0.9 < time.monotonic() - began < 1.9
    assert [reading.problem for reading in found] == ["slow 1"] * 4
    never.set()
