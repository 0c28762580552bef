"""Thresholds of effect size and significance for a drift status."""

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """Thresholds of the runbook (§5.1) and the significance that a status needs besides.

    A status needs both: the effect reaches the threshold, and the p-value, adjusted for all tests
    of the report, does not exceed the significance. The significances are therefore the chance of
    any YELLOW or RED, and of any RED, in a report where nothing has changed.

    GREEN requires rows: as many as would show a shift of `shown_shift` standard deviations in one
    column as RED in a share `power` of the windows, and at least `min_rows`, the fewest for which
    the error rates were simulated. With fewer, INCONCLUSIVE replaces GREEN.

    Attributes:
        psi_warning, psi_alert: population stability index beyond its expectation under no drift.
        missing_delta_warning, missing_delta_alert: absolute change of the missing rate, in [0, 1].
        significance_warning, significance_alert: family-wise error of a report, in (0, 1).
        shown_shift: size of the shift, in standard deviations.
        power: chance of detecting it, in (0, 1).
        min_rows: rows below which no status is GREEN.
    """

    psi_warning: float = 0.10
    psi_alert: float = 0.25
    missing_delta_warning: float = 0.05
    missing_delta_alert: float = 0.10
    significance_warning: float = 0.02
    significance_alert: float = 0.005
    shown_shift: float = 1.0
    power: float = 0.80
    min_rows: int = 30

    def __post_init__(self) -> None:
        """Validate the thresholds and their order.

        Raises:
            ValueError: a value is not finite or positive, a share is not below 1, or an alert is
                easier to reach than its warning.
        """
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number, not {value}")
        if self.psi_warning > self.psi_alert:
            raise ValueError("psi_warning exceeds psi_alert")
        if self.missing_delta_warning > self.missing_delta_alert:
            raise ValueError("missing_delta_warning exceeds missing_delta_alert")
        if not self.significance_alert <= self.significance_warning < 1:
            raise ValueError("significance_alert must not exceed significance_warning, below 1")
        if not self.power < 1:
            raise ValueError("power must be below 1")
