"""Invented students: lasting traits, ages and ideal phases."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np

FIRST, LATEST = 2022, 2024
"""First and latest year of the programme's own sheets; later years have the latest's layout."""
Column = np.ndarray
Year = Mapping[str, Column]
"""One year's students by column: `student` (index into the traits), and their observed values."""
_ENTRY_SHARES = (0.51, 0.25, 0.24)
"""Share of all students who are first seen in each of these years; each later year adds as many as
the last."""
_AGES = np.arange(7, 20)
_AGE_SHARES = np.array([5, 9, 12, 14, 12, 12, 12, 9, 7, 5, 4, 2, 1]) / 104
_YEARS_BEFORE_SHARES = (0.48, 0.15, 0.07, 0.16, 0.07, 0.04, 0.03)
"""Shares of 2022's students by the years since their entry: 0, 1, 2, ..."""
_LAST_BIRTHDAY_COUNTED = 300
"""Day of the year on which ages are taken (in 2022 the last day)."""
_SCHOOL_CUTOFF = 150
"""From 2024 on the ideal phase depends on the age on this day of the year."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Lasting traits of students; arrays of shape (students,).

    `entry` is the first year in the sheets, `joined` the year of entry into the programme;
    `learning`, `engagement` and `wellbeing` are standard normal.
    """

    entry: Column
    joined: Column
    birth_year: Column
    birth_day: Column
    female: Column
    private: Column
    learning: Column
    engagement: Column
    wellbeing: Column


def first_seen(students: int) -> Column:
    """Return the year in which each student enters; student 0 enters in the first year."""
    # By quota, not at random, so that few students still fill each year.
    position = (np.arange(students) + 0.5) / students
    entry = FIRST + np.digitize(position, np.cumsum(_ENTRY_SHARES)[:2])
    entry[0] = FIRST
    return entry


def newcomers(students: int) -> int:
    """Return how many enter in each year after the latest sheet, for a cohort of `students`."""
    return round(_ENTRY_SHARES[-1] * students)


def draw_traits(entry: Column, rng: np.random.Generator) -> Traits:
    """Return the random traits of new students; `entry` is the year in which each enters."""
    students = len(entry)
    learning = rng.standard_normal(students)
    engagement = 0.55 * learning + 0.835 * rng.standard_normal(students)
    age = rng.choice(_AGES, students, p=_AGE_SHARES)
    before = rng.choice(len(_YEARS_BEFORE_SHARES), students, p=_YEARS_BEFORE_SHARES)
    return Traits(
        entry=entry,
        joined=entry - np.where(entry == FIRST, before, 0),
        birth_year=entry - age,
        birth_day=rng.integers(1, 366, students),
        female=rng.random(students) < 0.53,
        private=rng.random(students) < 0.12,
        learning=learning,
        engagement=engagement,
        wellbeing=rng.standard_normal(students),
    )


def together(first: Traits, more: Traits) -> Traits:
    """Return all students, those of `first` first."""
    columns = zip(astuple(first), astuple(more), strict=True)
    return Traits(*(np.concatenate(pair) for pair in columns))


def ages(traits: Traits, year: int) -> tuple[Column, Column]:
    """Return the age as the year's sheet states it and the age at the school cut-off, in years."""
    difference = year - traits.birth_year
    counted = 366 if year == 2022 else _LAST_BIRTHDAY_COUNTED
    return difference - (traits.birth_day > counted), difference - (
        traits.birth_day > _SCHOOL_CUTOFF
    )


def ideal_phase(age: Column, school_age: Column, year: int) -> Column:
    """Return the phase a student should be in: by age until 2023, by school year from 2024 on.

    0 is ALFA; 8 is university. Phase 1 was the fourth school year and is now the third and fourth.
    """
    if year < 2024:
        return np.digitize(age, [9, 10, 12, 14, 15, 16, 17, 18])
    return np.digitize(school_age, [8, 10, 12, 14, 15, 16, 17, 18])
