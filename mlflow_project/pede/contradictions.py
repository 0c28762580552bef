"""Consistency of columns and years: typing errors are tolerated, mixed-up data is refused."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd

from core.messages import N_, _, formats
from mlflow_project.pede.errors import ContradictionError
from mlflow_project.pede.reading_report import ReadingReport
from mlflow_project.pede.workbook import YearSheet

MAX_SHARE = 0.05
"""Largest accepted share of contradictory rows; in the real sheets it is 0.2 % at most."""
MIN_ROWS = 3
"""Fewer contradictions than this count as typing errors in a small sheet."""
MAX_BEHIND = 2
"""Years that an age may lie below the year minus the birth year: one before the birthday, another
where ages were recorded in the year before. An age above the difference is impossible."""
SORTED_ALONE = N_("check that nobody sorted or copied one of these columns alone")
FEW = 0.5
"""Share of a year's students found in the next below which to warn; three quarters are usual."""
_NEAR = range(-5, 6)
"""Offsets in years to try for a sheet whose title states the wrong year."""


def lag_contradicts(frame: pd.DataFrame) -> pd.Series:
    """Return a mask of rows where phase, ideal phase and lag are known and do not agree."""
    return _lag_error(frame).abs() > 0


def age_contradicts(frame: pd.DataFrame, behind: float = 1.0) -> pd.Series:
    """Return a mask of rows: age above the years since birth, or over `behind` years below."""
    below = _years_below(frame)
    return (below < 0) | (below > behind)


def refuse_mixed_up(
    frame: pd.DataFrame, source: str, sheet: str, headers: Mapping[str, str]
) -> None:
    """Refuse a sheet whose columns contradict each other.

    Args:
        frame: a row per student with the concepts of `columns`, as read.
        source: the workbook's name in messages.
        sheet: its title.
        headers: the header of each concept's column.

    Raises:
        ContradictionError: names the columns, the number of rows and a possible cause.
    """
    found = []
    lag, lags = lag_contradicts(frame), int(_lag_error(frame).notna().sum())
    if _too_many(lag, lags):
        text = _(
            "{n} of {of} values of “{lag}” contradict “{phase}” minus “{ideal}”; {hint}",
            n=int(lag.sum()),
            of=lags,
            lag=headers["defasagem"],
            phase=headers["fase"],
            ideal=headers["fase_ideal"],
            hint=_(SORTED_ALONE),
        )
        found.append(text)
    age, ages = age_contradicts(frame, MAX_BEHIND), int(_years_below(frame).notna().sum())
    if _too_many(age, ages):
        text = _(
            "{n} of {of} values of “{age}” contradict “{birth}”; {hint}",
            n=int(age.sum()),
            of=ages,
            age=headers["idade"],
            birth=headers["ano_nascimento"],
            hint=_age_hint(frame),
        )
        found.append(text)
    if found:
        text = "; ".join(found)
        raise ContradictionError(source=source, sheet=sheet, contradictions=text)


def compare_years(
    frames: Sequence[pd.DataFrame], sheets: Sequence[YearSheet], report: ReadingReport
) -> None:
    """Compare consecutive years: warn where few students reappear under their RAs.

    Raises:
        ContradictionError: RAs have other birth years in the next sheet; names both sheets.
    """
    for (early, before), (late, after) in pairwise(zip(frames, sheets, strict=True)):
        again = float(early["ra"].isin(late["ra"]).mean())
        if again < FEW:
            warning = _(
                "only {again} of the students of {before} reappear in {sheet}; check that RAs are "
                "written alike in both sheets.",
                again=formats.percent(again, 0),
                before=before.title,
                sheet=after.title,
            )
            report.warnings.append(warning)
        births = early[["ra", "ano_nascimento"]].merge(late[["ra", "ano_nascimento"]], on="ra")
        births = births.dropna()
        differs = births["ano_nascimento_x"] != births["ano_nascimento_y"]
        if _too_many(differs, len(births)):
            text = _(
                "{n} of {of} RAs have another year of birth than in the sheet {other}; {hint}",
                n=int(differs.sum()),
                of=len(births),
                other=before.title,
                hint=_(SORTED_ALONE),
            )
            raise ContradictionError(source=after.source, sheet=after.title, contradictions=text)


def _lag_error(frame: pd.DataFrame) -> pd.Series:
    return frame["fase"] - frame["fase_ideal"] - frame["defasagem"]


def _years_below(frame: pd.DataFrame) -> pd.Series:
    return frame["ano"] - frame["ano_nascimento"] - frame["idade"]


def _too_many(differs: pd.Series, comparable: int) -> bool:
    n = int(differs.sum())
    return n >= MIN_ROWS and n > MAX_SHARE * comparable


def _age_hint(frame: pd.DataFrame) -> str:
    """Return a hint for the operator: the year that the ages would fit, if there is one."""
    below = _years_below(frame).dropna()
    for off in sorted(_NEAR, key=abs):
        if (below + off).between(0, 1).mean() > 1 - MAX_SHARE:
            year = int(frame["ano"].iloc[0]) + off
            return _("the ages fit {year}: were two sheets exchanged or renamed?", year=year)
    return _(SORTED_ALONE)
