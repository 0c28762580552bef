"""A registered version as the jobs see it."""

from dataclasses import dataclass

from core.contract.model import ModelContract


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version: its number, release and contract, the runs it names, and its state.

    Attributes:
        run_id: the run that trained it; None where it has none.
        baseline_run_id: the run that holds its baseline; None before one was made.
        served: whether it is the champion.
        drift_status, performance_status: verdicts of the last reports; None before any.
        notified: the escalation that people were last told of; None before any message.
    """

    model_name: str
    number: int
    release: str
    contract: ModelContract
    run_id: str | None
    baseline_run_id: str | None
    served: bool
    drift_status: str | None
    performance_status: str | None
    notified: str | None = None
