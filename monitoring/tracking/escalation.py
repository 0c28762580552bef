"""Who has to act, and how soon: drift and performance of a version together (runbook §6). Pure."""

from dataclasses import dataclass
from typing import Any, Literal

from core.contract import names

Level = Literal["NONE", "L1", "L2", "L3"]

ROLLBACK = (
    'python -m mlflow_project.registry rollback --reason "drift vermelho com desempenho pior ({})"'
)


@dataclass(frozen=True, slots=True)
class Escalation:
    """A level, what it asks for in words, and the command that the people who decide would run."""

    level: Level
    drift_status: str | None
    performance_status: str | None
    action: str | None = None
    command: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return {
            "level": self.level,
            "drift_status": self.drift_status,
            "performance_status": self.performance_status,
            "action": self.action,
            "command": self.command,
        }

    def note(self, headline: str) -> str:
        """Return the run's description: the verdict, then what it asks for."""
        command = f"`{self.command}`" if self.command else None
        return "\n\n".join(filter(None, [headline, self.action, command]))

    def tags(self) -> dict[str, str]:
        """Return the tags of the job's run."""
        return {names.TAG_ESCALATION: self.level}


def escalate(
    drift: str | None, performance: str | None, *, release: str, served: bool
) -> Escalation:
    """Return what the last known statuses of one version ask for.

    YELLOW drift is L1 and RED is L2; RED drift with DEGRADED performance is L3. Performance that is
    DEGRADED without RED drift is L2: the runbook does not name the case, and it cannot wait for
    drift to confirm what labels have shown.

    Args:
        drift: GREEN, YELLOW, RED, NO_DATA, or None where no report was made.
        performance: OK, DEGRADED, NO_DATA, or None likewise.
        release: the version's name, for the rollback's reason.
        served: whether the version is the champion; only then is there anything to roll back.
    """
    if drift == "RED" and performance == "DEGRADED":
        return _third(drift, performance, release, served)
    if drift == "RED":
        action = "L2: investigue a causa em até 4 horas (runbook §6)."
        return Escalation("L2", drift, performance, action)
    if performance == "DEGRADED":
        action = (
            "L2: o desempenho piorou sem drift vermelho; investigue a causa em até 4 horas "
            "(runbook §6) e decida entre retreino (§3.5) e rollback (§3.4)."
        )
        return Escalation("L2", drift, performance, action)
    if drift == "YELLOW":
        action = "L1: monitore por 24 horas e gere o relatório de novo amanhã (runbook §6)."
        return Escalation("L1", drift, performance, action)
    return Escalation("NONE", drift, performance)


def _third(drift: str, performance: str, release: str, served: bool) -> Escalation:
    if served:
        action = (
            "L3: drift vermelho e desempenho pior. Volte à versão anterior com o comando abaixo e "
            "comunique as partes interessadas (runbook §3.4 e §6)."
        )
        return Escalation("L3", drift, performance, action, ROLLBACK.format(release))
    action = (
        f"L3: drift vermelho e desempenho pior. {release} não é a versão no ar, então não há "
        "rollback a fazer; comunique as partes interessadas (runbook §6)."
    )
    return Escalation("L3", drift, performance, action)
