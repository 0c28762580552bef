"""Who serves what: each proxy keeps one MLflow run that says so, in an experiment of the model's.

The run goes on as long as its proxy does, and its tags are what the proxy does now, so MLflow's own
page of the experiment is a table of all proxies. A run, and no tag of the model: whoever makes an
experiment may write there, so a proxy whose user may only read the registry can still report.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.contract import names
from core.registry.runs import RunRecord, experiment_id, newest_runs
from core.registry.versions import Registry

REPORT_SECONDS = 120.0
"""Longest time between two reports of a proxy of which nothing has changed, in seconds."""
SILENT = timedelta(seconds=3 * REPORT_SECONDS)
"""Age from which a report says nothing about now."""
FORGOTTEN = timedelta(days=1)
"""Age from which a report is removed."""
MOST_TEXT = 300
"""Most characters of a reason."""
_MOST = 500
_REPORTING = "attributes.status = 'RUNNING'"


@dataclass(frozen=True, slots=True)
class ProxyState:
    """What a proxy answers with, as it says. All is text, empty where there is nothing to say.

    Attributes:
        proxy: its name.
        alias: what it follows.
        number: registry number of the version that all its workers serve; while they differ, that
            of one which is behind.
        release: the operator's name of that version.
        refused: number that the alias names and that is not served.
        code: why, as a word that is the same in all languages.
        reason: why, as a sentence.
        threshold: what the environment sets for any version.
        canary: number of the version that answers a share.
        canary_release: the operator's name of it.
        canary_share: that share, in percent; empty where it answers none.
        canary_refused: why it may not answer, as a sentence.
        canary_stopped: why it does no longer, as a sentence.
        canary_begun: which start of a canary this is about.
    """

    proxy: str
    alias: str
    number: str = ""
    release: str = ""
    refused: str = ""
    code: str = ""
    reason: str = ""
    threshold: str = ""
    canary: str = ""
    canary_release: str = ""
    canary_share: str = ""
    canary_refused: str = ""
    canary_stopped: str = ""
    canary_begun: str = ""


@dataclass(frozen=True, slots=True)
class ProxyReport:
    """A state, since when it holds, and when the proxy last said so."""

    state: ProxyState
    since: datetime
    seen: datetime
    run_id: str = ""

    def silent(self, now: datetime) -> bool:
        """Return whether it is stale."""
        return now - self.seen > SILENT


def read_reports(registry: Registry) -> list[ProxyReport]:
    """Return the reports of all proxies that have not ended, by name; those of a day ago are none.

    Raises:
        RegistryError: MLflow does not answer as it should.
    """
    limit = datetime.now(UTC) - FORGOTTEN
    runs = newest_runs(registry, names.serving_experiment(registry.name), _REPORTING, _MOST)
    found = [one for one in map(_report, runs) if one is not None and one.seen > limit]
    # Of two of one proxy the one seen last counts.
    newest = {one.state.proxy: one for one in sorted(found, key=lambda one: one.seen)}
    return [newest[name] for name in sorted(newest)]


def write_report(registry: Registry, report: ProxyReport) -> ProxyReport:
    """Write a report into the proxy's active run, also one of an earlier process, or a new one.

    The run is looked for each time: another proxy ends that of one which stood still for a day.

    Raises:
        RegistryError: it cannot be written.
    """
    from mlflow.entities import RunTag

    run_id = _own_run(registry, report.state.proxy)
    times = {"since": report.since, "seen": report.seen}
    texts = {name: moment.isoformat(timespec="milliseconds") for name, moment in times.items()}
    tags = {**asdict(report.state), **texts}
    registry.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    return replace(report, run_id=run_id)


def end_report(registry: Registry, run_id: str) -> None:
    """Take a report away: its proxy has ended."""
    registry.client.set_terminated(run_id, "FINISHED")


def remove_forgotten(registry: Registry) -> None:
    """Remove reports that were not renewed for a day."""
    limit = datetime.now(UTC) - FORGOTTEN
    for run in newest_runs(registry, names.serving_experiment(registry.name), _REPORTING, _MOST):
        report = _report(run)
        # Of a proxy that is writing its first report there is only the run.
        if (report.seen if report else run.started) < limit:
            registry.client.set_terminated(run.run_id, "KILLED")


def _own_run(registry: Registry, proxy: str) -> str:
    experiment = names.serving_experiment(registry.name)
    own = newest_runs(registry, experiment, f"{_REPORTING} and tags.proxy = '{proxy}'", _MOST)
    for older in own[1:]:
        registry.client.set_terminated(older.run_id, "KILLED")
    if own:
        return own[0].run_id
    tags = {"proxy": proxy}
    run = registry.client.create_run(experiment_id(registry, experiment), None, tags, proxy)
    return str(run.info.run_id)


def _report(run: RunRecord) -> ProxyReport | None:
    """Read a report; None where a run is none."""
    fields: dict[str, Any] = {name: run.tags.get(name, "") for name in ProxyState.__slots__}
    try:
        since, seen = (datetime.fromisoformat(run.tags[name]) for name in ("since", "seen"))
    except (KeyError, ValueError):
        return None
    return ProxyReport(ProxyState(**fields), since, seen, run.run_id)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The proxies of a model, by how they stand to the version that an alias names.

    Attributes:
        following: those heard of that follow the alias.
        adopted: those of them that answer with the version.
        refusing: those of them that refuse it.
        others: those heard of that follow another alias.
        silent: those not heard of for `SILENT`.
    """

    following: Sequence[ProxyReport]
    adopted: Sequence[ProxyReport]
    refusing: Sequence[ProxyReport]
    others: Sequence[ProxyReport]
    silent: Sequence[ProxyReport]

    @property
    def complete(self) -> bool:
        """Return whether all that follow the alias, at least one, answer with the version."""
        return bool(self.following) and len(self.adopted) == len(self.following)


def fleet_of(
    reports: Iterable[ProxyReport], alias: str, number: int | None, now: datetime | None = None
) -> Fleet:
    """Sort reports by how they stand to the version `number` that `alias` names."""
    now = now or datetime.now(UTC)
    reports, wanted = list(reports), str(number or "")
    heard = [one for one in reports if not one.silent(now)]
    following = [one for one in heard if one.state.alias == alias]
    return Fleet(
        following=following,
        adopted=[r for r in following if r.state.number == wanted and wanted],
        refusing=[r for r in following if r.state.refused == wanted and wanted],
        others=[r for r in heard if r.state.alias != alias],
        silent=[r for r in reports if r.silent(now)],
    )
