"""From a logged model to a finished version, such that an interruption leaves none to promote.

A version is born refused, with the reason that its registration is not finished; only when its
baseline is built and its alias set does it get the gate's verdict. Whoever repeats the training
finishes what was begun.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.cli.progress import say
from core.contract import names
from core.files.scratch import scratch_folder
from core.messages import N_, _
from core.registry import registering
from core.registry.evidence import training_record
from core.registry.runs import fetch, read_run
from core.registry.versions import Registry, Version
from mlflow_project.flips.promotion import GATE_FAILED, GATE_PASSED, GATE_TAG
from mlflow_project.flips.rehearsal import run_monitoring
from mlflow_project.gate.criteria import Criterion, capacity_question
from mlflow_project.gate.verdict import gate_tags
from mlflow_project.modelling.rows import TrainingError
from mlflow_project.runs.run_log import REPORT_ARTIFACT

UNFINISHED = f"{GATE_TAG}.registration"
"""Version tag: there until the version has all that it needs; why it cannot be promoted yet."""
NOTE = "mlflow.note.content"
"""Run tag that the MLflow UI shows as the run's description."""
TAG_TRAINING = "training_digest"
"""Version tag: digest of all that the training depended on."""
REPORTS = Path("artifacts")
"""Where the runbook reads reports."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The version that a training ended with, and whether it may be promoted.

    `existing`: nothing was trained, since this version came of the same data, code and parameters.
    `question`: what a person may decide where only the capacity stands against a promotion.
    """

    release: str
    number: int
    passed: bool
    headline: str
    report: Path
    existing: bool = False
    question: str = ""


def register(
    registry: Registry,
    model_uri: str,
    release: str,
    criteria: Sequence[Criterion],
    digest: str,
) -> Version:
    """Register a logged model as an unfinished version; its tags come with it, in one request."""
    tags = {
        names.TAG_RELEASE: release,
        TAG_TRAINING: digest,
        **gate_tags(criteria),
        GATE_TAG: GATE_FAILED,
        UNFINISHED: f"{GATE_FAILED}: "
        + _("registration interrupted; repeat the training, which finishes it"),
    }
    registering.register(registry, model_uri, tags)
    return registry.by_release(release)


def is_unfinished(version: Version) -> bool:
    """Return whether the registration of a version stopped half-way."""
    return UNFINISHED in version.tags


def finish(registry: Registry, version: Version) -> bool:
    """Build the first baseline, set `challenger`, then give the verdict; return whether it passed.

    Every step may be repeated. The verdict comes before the reason goes, so that at no moment the
    version looks finished and is not. A finished version is left as it is.

    Raises:
        TrainingError: the baseline failed; its own words were printed.
    """
    if not is_unfinished(version):
        return version.tags.get(GATE_TAG) == GATE_PASSED
    number = str(version.number)
    registry.client.update_model_version(registry.name, number, described(registry, version))
    _describe_model(registry)
    if names.TAG_BASELINE_RUN_ID not in version.tags:
        _build_baseline(version.release)
    registry.set_alias(names.CHALLENGER, version.number)
    verdict = GATE_FAILED if _failed(version) else GATE_PASSED
    registry.set_tag(version, GATE_TAG, verdict)
    registry.delete_tag(version, UNFINISHED)
    return verdict == GATE_PASSED


def outcome(
    registry: Registry, version: Version, passed: bool, report: str, existing: bool = False
) -> Registered:
    """Return what a training ended with; its report is written where the command was started."""
    path = REPORTS / f"model_report_{version.release}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report, encoding="utf-8")
    summary, question = described(registry, version), open_question(registry, version)
    return Registered(version.release, version.number, passed, summary, path, existing, question)


def described(registry: Registry, version: Version) -> str:
    """Return the line that says all of a version.

    It is the version's description or, before it has one, the note of its run.
    """
    found = registry.client.get_model_version(registry.name, str(version.number))
    run = None if found.description else read_run(registry, version.run_id)
    return str(found.description or (run.tags.get(NOTE, "") if run else ""))


def read_report(registry: Registry, version: Version) -> str:
    """Return the report that was logged in the version's run; its headline where that is gone."""
    with scratch_folder() as folder:
        path = fetch(registry, version.run_id, REPORT_ARTIFACT, folder)
        return path.read_text("utf-8") if path else described(registry, version) + "\n"


def same_training(registry: Registry, digest: str) -> Version | None:
    """Return the newest version of the same digest, a finished one if there is any.

    An unfinished one counts only while the champion that it was judged against is still served.
    """
    same = [v for v in registry.versions() if v.tags.get(TAG_TRAINING) == digest]
    finished = next((v for v in same if not is_unfinished(v)), None)
    if finished is not None or not same:
        return finished
    judged = training_record(registry, same[0]).params.get("judged_against")
    return same[0] if judged == champion_release(registry) else None


def champion_release(registry: Registry) -> str:
    """Return the release of the champion, or a dash."""
    champion = registry.by_alias(names.CHAMPION)
    return champion.release if champion else "–"


def _failed(version: Version) -> set[str]:
    """Return the gate's criteria that a version failed; that it is unfinished is none."""
    prefix = f"{GATE_TAG}."
    failed = {k for k, v in version.tags.items() if not v.startswith(GATE_PASSED)}
    return {k.removeprefix(prefix) for k in failed - {UNFINISHED} if k.startswith(prefix)}


def _describe_model(registry: Registry) -> None:
    """Give the registered model a description, unless somebody wrote one."""
    found = registry.client.get_registered_model(registry.name)
    if not found.description:
        text = _(
            "Risk that a child lags behind at school in the next year: a score from 0 to 1, and a "
            "label from the version's threshold on. The alias champion is served, challenger was "
            "trained last, previous was champion before. Promote and roll back by command "
            "(python -m mlflow_project.registry), which keeps the history; the runbook says how."
        )
        registry.client.update_registered_model(registry.name, text)


def open_question(registry: Registry, version: Version) -> str:
    """Return what a person may decide of a version that only its capacity stands against."""
    if _failed(version) != {"share_flagged"}:
        return ""
    run = read_run(registry, version.run_id)
    metrics = run.metrics if run else {}
    needed = ("share_flagged", "positive_rate", "precision")
    return capacity_question({name: metrics.get(f"test_{name}", 0.0) for name in needed})


def _build_baseline(release: str) -> None:
    """Ask monitoring for the first baseline by its command: training does not import it.

    Raises:
        TrainingError: the command failed; its own words were printed.
    """
    say(_("building the first baseline"))
    if run_monitoring("build_baseline", ["--model_version", release]):
        raise TrainingError(
            N_(
                "The baseline of {release} failed; the version cannot be promoted like this. "
                "Repeat the training: with the same data it only finishes what is missing."
            ),
            release=release,
        )
