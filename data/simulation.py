"""Simulation of students over the years: entry, learning, promotion, lag and exit.

Shares, levels and spreads were set by hand so that totals resemble those of the programme's yearly
sheets; no row of a child is used. A student has lasting traits (learning, engagement, well-being);
a year adds noise; indicators depend on both, and promotion to the next phase on the same causes.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from data.indicators import observe, turning_point
from data.students import (
    FIRST,
    LATEST,
    Column,
    Traits,
    Year,
    ages,
    draw_traits,
    first_seen,
    ideal_phase,
    newcomers,
    together,
)

_ENTRY_LAGS = np.array([-3, -2, -1, 0, 1])
_ENTRY_LAG_SHARES: Mapping[int, Sequence[float]] = {
    2022: (0.03, 0.23, 0.53, 0.19, 0.02),
    2023: (0.02, 0.10, 0.47, 0.38, 0.03),
    2024: (0.01, 0.12, 0.57, 0.24, 0.06),
}
"""Shares of the lags at entry, before phase 0 limits the lag of the youngest."""
_PROMOTED: Mapping[int, Column] = {
    2023: np.array([0.82, 0.70, 0.44, 0.36]),
    2024: np.array([0.90, 0.90, 0.42, 0.45]),
}
"""Share promoted into each year by the lag before: two phases or more, one, none, ahead."""
_PULL: Mapping[int, float] = {2023: 7.0, 2024: 8.0}
_PULL_LATER = 1.5
"""Weight of the observed causes in promotion: the greater, the more predictable the next year. Less
after 2024, when the rules no longer change and a model has more years to train on."""


def simulate(
    students: int, last: int, streams: Mapping[int, np.random.Generator]
) -> tuple[Traits, dict[int, Year]]:
    """Return the students' traits and, for each year, those present with phase and indicators.

    `streams` has the random generator of each year from the first to `last`. `students` enter up to
    the latest of the programme's own years, and newcomers in each later one.
    """
    traits = draw_traits(first_seen(students), streams[FIRST])
    phase = np.full(students, -1)
    present = np.zeros(students, dtype=bool)
    years: dict[int, Year] = {}
    for year in range(FIRST, last + 1):
        rng = streams[year]
        if year > LATEST:
            entry = np.full(newcomers(students), year)
            traits = together(traits, draw_traits(entry, rng))
            phase = np.append(phase, np.full(len(entry), -1))
            present = np.append(present, np.zeros(len(entry), dtype=bool))
        if years:
            present, phase = _next(traits, years[year - 1], present, phase, year, rng)
        new = traits.entry == year
        phase = np.where(new, _first_phase(traits, year, rng), phase)
        present = present | new
        years[year] = observe(traits, np.flatnonzero(present), phase, year, rng)
    return traits, years


def _first_phase(traits: Traits, year: int, rng: np.random.Generator) -> Column:
    """Return entry phases: most one or two below the ideal phase, better learners higher."""
    size = len(traits.entry)
    rank = np.argsort(np.argsort(traits.learning + 1.3 * rng.standard_normal(size)))
    edges = np.cumsum(_ENTRY_LAG_SHARES[min(year, LATEST)])[:-1]
    lag = _ENTRY_LAGS[np.digitize((rank + 0.5) / size, edges)]
    ideal = ideal_phase(*ages(traits, year), year)
    return np.clip(ideal + lag, 0, 7)


def _next(
    traits: Traits,
    last: Year,
    present: Column,
    phase: Column,
    year: int,
    rng: np.random.Generator,
) -> tuple[Column, Column]:
    """Return which earlier students are present in `year`, and every student's phase then."""
    student, at = last["student"], last["fase"]
    stay = 0.95 if year == 2023 else 1.15
    logit = stay + 0.6 * last["effort"] + np.where(at >= 8, 2.0, 0.0)
    stays = rng.random(len(student)) < _sigmoid(logit)
    # Graduates (phase 9) appear once. Student 0 stays, so that a small workbook has every year.
    stays &= at < 9
    stays |= student == 0
    following = np.zeros_like(present)
    following[student[stays]] = True
    # A few who had left return after a year or more.
    away = ~present & (traits.entry < year)
    following |= away & (rng.random(len(present)) < 0.03)

    moved = phase.copy()
    moved[student] = at + _promoted(traits, last, year, rng)
    return following, np.clip(moved, 0, 9 if year >= 2024 else 8)


def _promoted(traits: Traits, last: Year, year: int, rng: np.random.Generator) -> Column:
    """Return phases gained (0, 1, rarely 2): likelier after growth and for those who lag.

    Catching up is the programme's aim, so the probability increases with the lag; at equal lag and
    phase it depends on the turning point, and slightly on well-being.
    """
    at, lag, student = last["fase"], last["fase"] - last["fase_ideal"], last["student"]
    usual = _PROMOTED[min(year, LATEST)][np.clip(lag, -2, 1) + 2]
    by_phase = np.array([-0.6, 0.0, 0.3, 0.2, 0.6, 0.0, 0.6, 0.6, -1.6, -9.0])[at]
    base = np.log(usual / (1 - usual)) + by_phase
    shown = turning_point(last["growth"], last["study"], last["effort"])
    logit = _PULL.get(year, _PULL_LATER) * (0.55 * base + shown + 0.1 * traits.wellbeing[student])
    gained = (rng.random(len(at)) < _sigmoid(logit)).astype(int)
    jump = (lag <= -2) & (gained == 1) & (rng.random(len(at)) < 0.10)
    # Phase 9 is for graduates, who are in the sheets from 2024 on.
    return np.where((at == 8) & (year < 2024), 0, gained + jump)


def _sigmoid(value: Column) -> Column:
    return 1.0 / (1.0 + np.exp(-value))
