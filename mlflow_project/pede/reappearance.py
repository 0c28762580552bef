"""How many of a year's students are found again in the next year's sheet."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from core.messages import _, formats

FEW = 0.5
"""Share of a year's students below which too few are found again; three quarters are usual."""


def few_reappear(frames: Sequence[pd.DataFrame], titles: Sequence[str]) -> list[str]:
    """Return a warning for each sheet of whose students few are in the next one."""
    warnings = []
    for (early, before), (late, sheet) in pairwise(zip(frames, titles, strict=True)):
        again = float(early["ra"].isin(late["ra"]).mean())
        if again < FEW:
            warning = _(
                "only {again} of the students of {before} reappear in {sheet}; check that RAs are "
                "written alike in both sheets.",
                again=formats.percent(again, 0),
                before=before,
                sheet=sheet,
            )
            warnings.append(warning)
    return warnings
