"""Escalation level from a version's drift and performance verdicts (runbook §6). Pure."""

from dataclasses import dataclass
from typing import Literal

from core.messages import N_, _

Level = Literal["NONE", "L1", "L2", "L3"]

REASON = N_("red drift with worse performance ({version})")


@dataclass(frozen=True, slots=True)
class Escalation:
    """A level, the required action as text, and the command to run once that is decided."""

    level: Level
    drift_status: str | None
    performance_status: str | None
    action: str | None = None
    command: str | None = None

    def note(self, headline: str) -> str:
        """Return the run's description: the headline, the required action and the command."""
        command = f"`{self.command}`" if self.command else None
        return "\n\n".join(filter(None, [headline, self.action, command]))


def escalate(
    drift: str | None,
    performance: str | None,
    *,
    release: str,
    served: bool,
    reversible: bool = True,
) -> Escalation:
    """Return the escalation for the last known statuses of one version.

    YELLOW drift is L1 and RED is L2; RED drift with DEGRADED performance is L3. Performance that is
    DEGRADED without RED drift is L2: the runbook does not cover the case, and a loss that labels
    have shown needs no confirmation by drift.

    Args:
        drift: GREEN, YELLOW, RED; NO_DATA or INCONCLUSIVE where no report has reached a verdict;
            None without a report.
        performance: OK, DEGRADED, NO_DATA, or None without a report.
        release: the version's name, for the rollback's reason.
        served: whether the version is the champion; only then is there anything to roll back.
        reversible: whether there is a previous champion.
    """
    level: Level = "NONE"
    action = command = None
    if drift == "RED" and performance == "DEGRADED":
        level, (action, command) = "L3", _third(release, served, reversible)
    elif drift == "RED":
        level, action = "L2", _("L2: find the cause within 4 hours (runbook §6).")
    elif performance == "DEGRADED":
        level = "L2"
        action = _(
            "L2: performance has become worse without red drift; find the cause within 4 hours "
            "(runbook §6) and decide between retraining (§3.5) and rollback (§3.4)."
        )
    elif drift == "YELLOW":
        level = "L1"
        action = _("L1: watch for 24 hours and make the report again tomorrow (runbook §6).")
    return Escalation(level, drift, performance, action, command)


def _third(release: str, served: bool, reversible: bool) -> tuple[str, str | None]:
    """Return the action of level L3, and the rollback command where there is one to do."""
    if not served:
        return _(
            "L3: red drift and worse performance. {version} is not the version that is served, so "
            "there is no rollback to do; tell those concerned (runbook §6).",
            version=release,
        ), None
    if not reversible:
        return _(
            "L3: red drift and worse performance. No champion came before {version}, so there is "
            "no rollback to do: tell those concerned (runbook §6) and retrain with the newest year "
            "(§3.5).",
            version=release,
        ), None
    reason = _(REASON, version=release)
    return _(
        "L3: red drift and worse performance. Go back to the previous version with the command "
        "below and tell those concerned (runbook §3.4 and §6)."
    ), f'python -m mlflow_project.registry rollback --reason "{reason}"'
