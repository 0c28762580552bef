"""Complete the registration of a logged model; an interruption leaves no version to promote.

A version is registered as failed, with the reason that its registration is unfinished, and gets the
gate's verdict only when its baseline is built and its alias set. Repeating the training completes
an interrupted registration.
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
"""Version tag until the registration is complete; its value says why promotion is refused."""
NOTE = "mlflow.note.content"
"""Run tag that the MLflow UI shows as the run's description."""
TAG_TRAINING = "training_digest"
"""Version tag: digest of the training's data, parameters, code and packages."""
REPORTS = Path("artifacts")
"""Folder in which the runbook expects reports."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Result of a training: its version, and whether that may be promoted.

    `existing`: nothing was trained, since this version has the same data, code and parameters.
    `question`: the decision left to a person if only the capacity criterion failed.
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
    """Register a logged model as an unfinished version, with all its tags in one request."""
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
    """Return whether the registration of a version was interrupted."""
    return UNFINISHED in version.tags


def finish(registry: Registry, version: Version) -> bool:
    """Build the first baseline, set `challenger`, then the verdict; return whether it passed.

    Every step may be repeated. The verdict is set before the tag `UNFINISHED` is deleted, so that
    the version never looks complete too early. A complete version is left unchanged.

    Raises:
        TrainingError: building the baseline failed; its output was printed.
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
    """Write the report below the working directory; return the result of the training."""
    path = REPORTS / f"model_report_{version.release}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report, encoding="utf-8")
    summary, question = described(registry, version), open_question(registry, version)
    return Registered(version.release, version.number, passed, summary, path, existing, question)


def described(registry: Registry, version: Version) -> str:
    """Return a version's one-line summary.

    It is the version's description or, before it has one, the note of its run.
    """
    found = registry.client.get_model_version(registry.name, str(version.number))
    run = None if found.description else read_run(registry, version.run_id)
    return str(found.description or (run.tags.get(NOTE, "") if run else ""))


def read_report(registry: Registry, version: Version) -> str:
    """Return the report logged in the version's run, or the one-line summary if it is gone."""
    with scratch_folder() as folder:
        path = fetch(registry, version.run_id, REPORT_ARTIFACT, folder)
        return path.read_text("utf-8") if path else described(registry, version) + "\n"


def same_training(registry: Registry, digest: str) -> Version | None:
    """Return the newest version with the same training digest, preferably a complete one.

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
    """Return the gate criteria that a version failed; the tag `UNFINISHED` is not one."""
    prefix = f"{GATE_TAG}."
    failed = {k for k, v in version.tags.items() if not v.startswith(GATE_PASSED)}
    return {k.removeprefix(prefix) for k in failed - {UNFINISHED} if k.startswith(prefix)}


def _describe_model(registry: Registry) -> None:
    """Set the registered model's description, unless it has one."""
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
    """Return the question for a person if only the capacity criterion failed; else empty."""
    if _failed(version) != {"share_flagged"}:
        return ""
    run = read_run(registry, version.run_id)
    metrics = run.metrics if run else {}
    needed = ("share_flagged", "positive_rate", "precision")
    return capacity_question({name: metrics.get(f"test_{name}", 0.0) for name in needed})


def _build_baseline(release: str) -> None:
    """Build the first baseline by monitoring's command, since training does not import it.

    Raises:
        TrainingError: the command failed; its output was printed.
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
