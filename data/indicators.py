"""Observations of a simulated year: each student's phase, age, grades and indicators."""

import numpy as np

from data.students import LATEST, Column, Traits, Year, ages, ideal_phase


def observe(
    traits: Traits, student: Column, phase: Column, year: int, rng: np.random.Generator
) -> Year:
    """Return the year's values of the students present, before any layout.

    `student` holds indices into the traits, `phase` the phase of every student. Besides the sheet's
    columns: `study`, `effort` and `growth`, the year's latent causes of the indicators, normal with
    mean 0 and a standard deviation of about 1.
    """
    at = phase[student]
    age, school_age = (value[student] for value in ages(traits, year))
    learning, engagement = traits.learning[student], traits.engagement[student]

    def chance() -> Column:
        return rng.standard_normal(len(student))

    study = 0.72 * learning + 0.70 * chance()
    effort = 0.80 * engagement + 0.60 * chance()
    growth = 0.30 * study + 0.30 * effort + 0.80 * chance()
    level = np.array([7.5, 6.3, 5.6, 5.3, 5.6, 5.9, 6.8, 6.6, 6.5, 6.5])[at]

    def note(shift: float, spread: float, part: Column) -> Column:
        return np.clip(level + shift + spread * (0.75 * study + 0.66 * part), 0, 10)

    mat, por, ing = note(0.0, 2.0, chance()), note(0.1, 1.8, chance()), note(0.2, 2.2, chance())
    ing = np.where(at >= 3, ing, np.nan)
    ida = np.nanmean([mat, por, ing], axis=0)
    return {
        "student": student,
        "fase": at,
        "idade": age,
        "fase_ideal": ideal_phase(age, school_age, year),
        "iaa": _self_assessment(0.3 * effort + 0.95 * chance(), year, rng),
        "ieg": np.clip(8.5 - 0.15 * at + 1.2 * effort - 0.15 * effort**2, 0, 10),
        "ips": _psychosocial(0.7 * traits.wellbeing[student] + 0.7 * chance(), year),
        "ipp": np.clip(7.55 + 0.95 * (0.75 * growth + 0.25 * study + 0.45 * chance()), 0, 10),
        "ida": ida,
        "ipv": np.clip(7.4 + 1.05 * turning_point(growth, study, effort), 0, 10.01),
        "mat": mat,
        "por": por,
        "ing": ing,
        "growth": growth,
        "study": study,
        "effort": effort,
    }


def _self_assessment(drawn: Column, year: int, rng: np.random.Generator) -> Column:
    """Return IAA in steps of 0.5; a share is nonresponse, which the sheets give as 0."""
    silent = {2022: 0.04, 2023: 0.18, 2024: 0.02}[min(year, LATEST)]
    answered = np.clip(np.round(2 * (8.8 + drawn)) / 2, 0, 10)
    # The sheets from 2024 on sum rounded parts, so the maximum reads 10.002.
    answered = np.where(answered > 0, answered + (0.002 if year >= 2024 else 0.0), 0.0)
    return np.where(rng.random(len(drawn)) < silent, 0.0, answered)


def _psychosocial(drawn: Column, year: int) -> Column:
    """Return IPS, which takes few values; 2023 graded harder than the other years."""
    steps = {
        2022: ([5.0, 5.6, 6.3, 7.5, 8.1], [-1.3, -0.8, -0.5, 1.3]),
        2023: ([2.52, 3.77, 5.0, 6.27, 7.52], [-0.6, -0.3, 0.1, 0.4]),
        2024: ([2.51, 5.005, 6.26, 7.51, 8.13], [-1.5, -1.1, -0.6, 1.2]),
    }
    values, edges = steps[min(year, LATEST)]
    return np.array(values)[np.digitize(drawn, edges)]


def turning_point(growth: Column, study: Column, effort: Column) -> Column:
    """Return the visible progress of students, from which IPV and promotion follow."""
    return 0.85 * growth + 0.25 * study + 0.2 * effort
