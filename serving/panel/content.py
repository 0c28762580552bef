"""What the operators' page says of the served version and its service. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from core.contract import names
from serving.following.history import Change, Reading, Report
from serving.http.schemas import CaptureState, Health
from serving.panel.wording import duration, moment
from serving.telemetry.slo import Level, Levels

Color = Literal["red", "yellow", "green", "none"]


@dataclass(frozen=True, slots=True)
class Group:
    """Workers that serve the same version."""

    release: str
    number: str
    count: int


@dataclass(frozen=True, slots=True)
class PanelFacts:
    """All that the page is made from.

    `health` is of the worker that answers; `capture`, `groups` and `degraded` are of all workers;
    `since` is when this worker took up the served version, `started` when the server did start.
    """

    now: datetime
    model_name: str
    health: Health
    threshold: float | None
    since: datetime | None
    started: datetime
    groups: tuple[Group, ...]
    degraded: int
    capture: CaptureState
    hour: Levels
    day: Levels
    reading: Reading
    mlflow_url: str


def latest(facts: PanelFacts, job: str) -> Report | None:
    """Return the newest finished report of a kind about the served version."""
    history = facts.reading.history
    reports = history.drift if job == names.JOB_DRIFT else history.performance
    served = str(facts.health.registry_version)
    return next((r for r in reports if r.status and r.number == served), None)


def flip_of(facts: PanelFacts) -> Change | None:
    """Return the ledger's entry of the flip that put the served version on; None without one."""
    flips = (c for c in facts.reading.history.changes if c.action in names.LEDGER_FLIPS)
    last = next(flips, None)
    served = str(facts.health.registry_version)
    return last if last is not None and last.after == served else None


def whose_flip(facts: PanelFacts) -> str:
    """Say who put the served version on, or why that is not known."""
    if facts.reading.when is None:
        return "quem a pôs no ar só o MLflow sabe, e ele não foi lido"
    if facts.health.alias != names.CHAMPION:
        return f"o histórico é do alias {names.CHAMPION}, e o servido é {facts.health.alias}"
    flip = flip_of(facts)
    if flip is None:
        return "troca feita fora dos comandos, ainda sem registro"
    if flip.action in names.LEDGER_NOTICED:
        return f"troca feita fora dos comandos, notada em {moment(flip.when)}"
    verb = "rollback" if flip.action == names.LEDGER_ROLLBACK else "promoção"
    return f"{verb} por {flip.who or 'desconhecido'}" + (f": {flip.why}" if flip.why else "")


def served_since(facts: PanelFacts) -> datetime | None:
    """Return when the served version went on: the flip's time, else what this worker saw."""
    flip = flip_of(facts)
    known = flip is not None and flip.action not in names.LEDGER_NOTICED
    ours = facts.health.alias == names.CHAMPION
    return flip.when if flip is not None and known and ours else facts.since


def threshold_origin(facts: PanelFacts) -> str:
    """Say where the threshold in force comes from."""
    source = facts.health.threshold_source
    if source == "env":
        return "da variável THRESHOLD: vale para qualquer versão"
    if source == "metadata":
        return "do treino da versão"
    if source is None:
        return "a versão servida não tem"
    served = str(facts.health.registry_version)
    for change in facts.reading.history.changes:
        if change.action == names.LEDGER_THRESHOLD and change.version == served:
            why = f": {change.why}" if change.why else ""
            return f"mudado por {change.who or 'desconhecido'} em {moment(change.when)}{why}"
    return "da tag threshold da versão"


def covered(levels: Levels) -> str | None:
    """Say how much of a window was seen, when not all of it was."""
    seen = levels.window
    if seen.complete:
        return None
    return f"o servidor só tem {duration(timedelta(seconds=seen.covered))}"


def verdict(level: Level) -> tuple[Color, str]:
    """Return color and words of a service level's verdict."""
    if level.met is None:
        return "none", "Sem pedidos" if level.value is None else "Cedo demais"
    return ("green", "Na meta") if level.met else ("red", "Fora da meta")
