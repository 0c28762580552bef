"""Reasons for a high score as text: an input's value compared with the child's peers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.messages import N_, _
from core.messages.formats import number
from core.sheets import Result
from mlflow_project.pede import FEATURES

PHASE = "fase"
MOST = 3
"""Most inputs named for one child."""
FEWEST_PEERS = 10
"""Least known values from which a phase has a range of its own."""
QUARTILES = (0.25, 0.75)
NAMES: Mapping[str, str] = {f.name: re.split(r" \(|[;,]", f.description)[0] for f in FEATURES}
"""Display name of each input: its description up to a bracket, comma or semicolon."""
PLACES = {
    (-1, True): N_("{name} {value}: below what is common in phase {phase}"),
    (0, True): N_("{name} {value}: as is common in phase {phase}"),
    (1, True): N_("{name} {value}: above what is common in phase {phase}"),
    (-1, False): N_("{name} {value}: below what is common on this list"),
    (0, False): N_("{name} {value}: as is common on this list"),
    (1, False): N_("{name} {value}: above what is common on this list"),
}


@dataclass(frozen=True)
class Common:
    """Interquartile range of the known values of each input, by phase and over the whole list."""

    ranges: Mapping[tuple[str, float | None], tuple[float, float]]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> "Common":
        """Compute the ranges from a list's rows; a phase with few known values gets none."""
        phases = {row.get(PHASE) for row in rows}
        found = {}
        for name in NAMES:
            known = [(row.get(PHASE), row[name]) for row in rows if row.get(name) is not None]
            for phase in (None, *(phases - {None} if name != PHASE else ())):
                values = [value for its, value in known if phase is None or its == phase]
                if values and (phase is None or len(values) >= FEWEST_PEERS):
                    low, high = np.quantile(values, QUARTILES)
                    found[name, phase] = (float(low), float(high))
        return cls(found)

    def sentence(self, name: str, row: Mapping[str, Any]) -> str:
        """Return an input's value and its position relative to the peers."""
        value, phase = row.get(name), row.get(PHASE)
        called = NAMES.get(name, name)
        if value is None:
            return _("{name}: not known", name=called)
        own = (name, phase) in self.ranges
        low, high = self.ranges.get((name, phase if own else None), (value, value))
        place = int(value > high) - int(value < low)
        shown = number(value, 0 if float(value).is_integer() else 1)
        text = PLACES[place, own and phase is not None]
        return _(text, name=called, value=shown, phase=number(phase))


def reasons(result: Result, row: Mapping[str, Any], common: Common) -> list[str]:
    """Return the inputs that raised a score most, the strongest first, `MOST` at the most."""
    raising = [effect for effect in result.explanation if effect["effect"] > 0]
    raising.sort(key=lambda effect: -effect["effect"])
    return [common.sentence(effect["feature"], row) for effect in raising[:MOST]]


def missing(row: Mapping[str, Any]) -> str:
    """Return the inputs without a value, by name."""
    return ", ".join(called for name, called in NAMES.items() if row.get(name) is None)
