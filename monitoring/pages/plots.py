"""Geometry of the report's small plots; the template draws it as inline SVG."""

import itertools
import math
from dataclasses import dataclass

import pyarrow as pa

from core.contract.model import CLASSES
from core.messages import _, decimal
from core.messages.formats import percent
from monitoring.drift.baseline import SCORE, Profile, count_profiles, fit_profiles
from monitoring.performance.agreement_of_kinds import AnyAgreement

WIDTH = 320.0
HEIGHT = 84.0
_GAP = 0.18
_APART = 0.6
_TICK_LENGTH = 16


@dataclass(frozen=True, slots=True)
class DrawnBin:
    """One bin: x of its first bar, width of a bar, both heights, and labels; in SVG units."""

    x: float
    width: float
    baseline: float
    current: float
    title: str
    short: str
    special: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares per bin of baseline and window, with the labels under the first and last bins."""

    bars: tuple[DrawnBin, ...]
    first: str
    last: str
    split: float | None


def plain(value: float, span: float = 0.0) -> str:
    """Return an axis value, to about a thousandth of `span` where one is given."""
    if span > 0:
        digits = max(0, 3 - math.ceil(math.log10(span)))
        value = round(value, digits) + 0.0
    return decimal(value)


def histogram(
    baseline: Profile, current: Profile, sides: tuple[str, str] | None = None
) -> Histogram:
    """Lay out the bins that either side occupies, the special ones (missing, new) at the end."""
    labels, sides = _labels(baseline), sides or (_("baseline"), _("window"))
    n_before, n_now = max(baseline.n_rows, 1), max(current.n_rows, 1)
    last = len(labels) - 1
    unordered = (_("new values"), _("new categories"))
    special = {last, *(i for i in baseline.binning.novel if labels[i] in unordered)}
    occupied = [i for i in range(last + 1) if baseline.counts[i] or current.counts[i]]
    shown = [i for i in occupied if i not in special]
    extra = [i for i in occupied if i in special]
    shares = [(i, baseline.counts[i] / n_before, current.counts[i] / n_now) for i in shown + extra]
    top = max((max(a, b) for _, a, b in shares), default=1.0) or 1.0
    gap = _APART if shown and extra else 0.0
    slot = WIDTH / max(len(shares) + gap, 4)
    bars = []
    for place, (i, before, now) in enumerate(shares):
        x = slot * (place + (gap if i in special else 0.0))
        title = f"{labels[i]}: {sides[0]} {percent(before)}, {sides[1]} {percent(now)}"
        heights = HEIGHT * before / top, HEIGHT * now / top
        width = slot * (1 - _GAP) / 2
        short = _("new") if i in special - {last} else labels[i]
        bars.append(DrawnBin(x + slot * _GAP / 2, width, *heights, title, short, i in special))
    split = slot * (len(shown) + gap / 2) if gap else None
    ends = [_tick(baseline, labels, i) for i in dict.fromkeys(shown[:1] + shown[-1:])]
    first, final = (*ends, "", "")[:2]
    return Histogram(tuple(bars), first, final, split)


def _labels(profile: Profile) -> list[str]:
    """Return the label of each bin, in bin order."""
    kind, points = profile.binning.kind, profile.binning.points
    if kind == "boolean":
        return [_("no"), _("yes"), _("missing")]
    if kind == "presence":
        return [_("there"), _("missing")]
    if kind == "categorical":
        own = profile.binning.own
        rare = [_("rare categories")] if len(points) > own else []
        others = profile.counts[profile.binning.n_own]
        unlisted = _("other categories") if others else _("new categories")
        return [*points[:own], *rare, unlisted, _("missing")]
    if not points:
        return [_("below"), _("values never seen"), _("missing")]
    span = points[-1] - points[0] if kind == "numeric" else 0.0
    below = _("less than {value}", value=plain(points[0], span))
    above = _("more than {value}", value=plain(points[-1], span))
    if kind == "discrete":
        return [below, *map(plain, points), above, _("new values"), _("missing")]
    inner = [
        _("{low} to {high}", low=plain(a, span), high=plain(b, span))
        for a, b in itertools.pairwise(points)
    ]
    return [below, *(inner or [plain(points[0])]), above, _("missing")]


def _tick(profile: Profile, labels: list[str], index: int) -> str:
    """Return a short label for one end of the axis: an edge of the range, or a category."""
    points = profile.binning.points
    if profile.binning.kind == "numeric" and points:
        end = points[0] if index <= profile.binning.n_own / 2 else points[-1]
        return plain(end, points[-1] - points[0])
    label = labels[index]
    return label if len(label) <= _TICK_LENGTH else f"{label[: _TICK_LENGTH - 1]}…"


def both_scores(result: AnyAgreement, paired: pa.Table, named: tuple[str, str]) -> Histogram | None:
    """Lay out `score` and `shadow_score` in the bins of the former, labelled by version.

    None without rows, or for class outputs.
    """
    if result.kind == CLASSES or not result.n_entities:
        return None
    before = fit_profiles(paired.select([SCORE]))
    now = count_profiles(before, pa.table({SCORE: paired.column("shadow_score")}))
    return histogram(before[0], now[0], named)
