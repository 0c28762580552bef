"""Allowed losses, and the error rate of a verdict on performance."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class PerformancePolicy:
    """Criteria by which labels show that a version is worse than its own test metrics.

    DEGRADED requires a guarded metric whose interval lies wholly beyond the allowed loss. The
    intervals share `error` among the guarded metrics (Bonferroni), so where no metric has lost more
    than allowed, DEGRADED appears in at most that share of the reports.

    Attributes:
        max_recall_loss, max_f2_loss, max_roc_auc_loss: allowed fall, in (0, 1).
        max_brier_gain: allowed rise of the mean squared error of the score, in (0, 1).
        max_error_gain: allowed rise of MAE and RMSE of predicted values, as a share of the test's.
        max_r2_loss, max_accuracy_loss, max_f1_loss: allowed fall, for values and for classes.
        error: chance of a wrong DEGRADED at the allowed loss, in (0, 1).
        confidence: of the intervals that are shown, in (0, 1).
        min_rows, min_per_class: with fewer labels, or fewer of a class, the status is NO_DATA.
        min_group_rows: a value with fewer rows is neither named nor measured alone.
        resamples: bootstrap samples; fewer in large windows, where the intervals are narrow anyway.
    """

    max_recall_loss: float = 0.05
    max_f2_loss: float = 0.05
    max_roc_auc_loss: float = 0.05
    max_brier_gain: float = 0.03
    max_error_gain: float = 0.10
    max_r2_loss: float = 0.05
    max_accuracy_loss: float = 0.05
    max_f1_loss: float = 0.05
    error: float = 0.05
    confidence: float = 0.95
    min_rows: int = 30
    min_per_class: int = 10
    min_group_rows: int = 10
    resamples: int = 2000

    def __post_init__(self) -> None:
        """Validate the ranges of the values.

        Raises:
            ValueError: a share outside (0, 1), or a count below 1.
        """
        for name, value in asdict(self).items():
            if isinstance(value, int):
                if value < 1:
                    raise ValueError(f"{name} must be at least 1, not {value}")
            elif not 0 < value < 1:
                raise ValueError(f"{name} must lie in (0, 1), not {value}")

    def resamples_of(self, n_rows: int) -> int:
        """Return how many resamples of `n_rows` to draw: 20 million rows in all, at least 200."""
        return min(self.resamples, max(200, 20_000_000 // n_rows))
