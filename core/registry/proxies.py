"""Proxy reports: each proxy records what it serves in an MLflow run, in an experiment of the model.

The run stays active as long as its proxy, and its tags are the proxy's current state, so MLflow's
own page of the experiment is a table of all proxies. It is a run and not a tag of the model, since
the creator of an experiment may write to it, even with read-only permission on the registry.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.contract import names
from core.registry.runs import RunRecord, experiment_id, newest_runs
from core.registry.versions import Registry

REPORT_SECONDS = 120.0
"""Longest time between two reports of a proxy whose state is unchanged, in seconds."""
SILENT = timedelta(seconds=3 * REPORT_SECONDS)
"""Age from which a report is stale."""
FORGOTTEN = timedelta(days=1)
"""Age from which a report is removed."""
MOST_TEXT = 300
"""Maximum length of a reason, in characters."""
_MOST = 500
_REPORTING = "attributes.status = 'RUNNING'"


@dataclass(frozen=True, slots=True)
class ProxyState:
    """A proxy's state as it reports it. All fields are text, empty where they do not apply.

    Attributes:
        proxy: its name.
        alias: the alias that it follows.
        number: registry number of the version that all its workers serve; while they differ, that
            of a worker which is behind.
        release: the operator's name of that version.
        refused: number of the version that the alias names and that the proxy refused.
        code: reason of the refusal, as a code independent of the language.
        reason: reason of the refusal, as a sentence.
        threshold: the threshold that the environment sets for any version.
        canary: number of the version that serves a share of the requests.
        canary_release: the operator's name of it.
        canary_share: that share, in percent; empty where it serves none.
        canary_refused: why the canary was refused, as a sentence.
        canary_stopped: why the canary was stopped, as a sentence.
        canary_begun: start time of the canary in question (`TAG_CANARY_BEGUN`).
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
    """A state, the time of its last change, and the time when the proxy last reported it."""

    state: ProxyState
    since: datetime
    seen: datetime
    run_id: str = ""

    def silent(self, now: datetime) -> bool:
        """Return whether the report is stale."""
        return now - self.seen > SILENT


def read_reports(registry: Registry) -> list[ProxyReport]:
    """Return the reports of all running proxies, by name; those older than a day are ignored.

    Raises:
        RegistryError: MLflow does not answer as it should.
    """
    limit = datetime.now(UTC) - FORGOTTEN
    runs = newest_runs(registry, names.serving_experiment(registry.name), _REPORTING, _MOST)
    found = [one for one in map(_report, runs) if one is not None and one.seen > limit]
    # Of two reports of one proxy the newer counts.
    newest = {one.state.proxy: one for one in sorted(found, key=lambda one: one.seen)}
    return [newest[name] for name in sorted(newest)]


def write_report(registry: Registry, report: ProxyReport) -> ProxyReport:
    """Write a report to the proxy's active run, even one of an earlier process, or to a new one.

    The run is searched for each time: other proxies end a run that was not updated for a day.

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
    """End a report's run when its proxy stops."""
    registry.client.set_terminated(run_id, "FINISHED")


def remove_forgotten(registry: Registry) -> None:
    """End the runs of reports that were not updated for a day."""
    limit = datetime.now(UTC) - FORGOTTEN
    for run in newest_runs(registry, names.serving_experiment(registry.name), _REPORTING, _MOST):
        report = _report(run)
        # A proxy that is writing its first report has a run without a report.
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
    """Return the report in a run's tags; None where there is none."""
    fields: dict[str, Any] = {name: run.tags.get(name, "") for name in ProxyState.__slots__}
    try:
        since, seen = (datetime.fromisoformat(run.tags[name]) for name in ("since", "seen"))
    except (KeyError, ValueError):
        return None
    return ProxyReport(ProxyState(**fields), since, seen, run.run_id)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The proxies of a model, grouped by their state towards the version that an alias names.

    Attributes:
        following: those with a current report that follow the alias.
        adopted: those of them that serve the version.
        refusing: those of them that refuse it.
        others: those with a current report that follow another alias.
        silent: those whose last report is older than `SILENT`.
    """

    following: Sequence[ProxyReport]
    adopted: Sequence[ProxyReport]
    refusing: Sequence[ProxyReport]
    others: Sequence[ProxyReport]
    silent: Sequence[ProxyReport]

    @property
    def complete(self) -> bool:
        """Return whether all proxies that follow the alias, at least one, serve the version."""
        return bool(self.following) and len(self.adopted) == len(self.following)


def fleet_of(
    reports: Iterable[ProxyReport], alias: str, number: int | None, now: datetime | None = None
) -> Fleet:
    """Group reports by their state towards the version `number` that `alias` names."""
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
