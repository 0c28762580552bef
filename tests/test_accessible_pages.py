"""Accessibility of pages: contrast of text, headings and captions of tables."""

import re
from collections.abc import Iterator
from itertools import chain

import pytest

from tests.live import ROOT

STYLE = "core/pages/look.css"
PACKAGES = ("core", "mlflow_project", "serving", "monitoring")
TEMPLATES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in chain.from_iterable(ROOT.glob(f"{package}/**/*.html") for package in PACKAGES)
)
STATES = ("green", "yellow", "red", "none")
AA = 4.5
"""Least contrast of text of normal size (WCAG 2.2, 1.4.3)."""


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rgb` or `#rrggbb` (WCAG 2.2, definition)."""
    digits = colour.lstrip("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def themes() -> Iterator[dict[str, str]]:
    """Yield the colours of each theme by name: light, dark and print."""
    for block in re.findall(r":root \{(.*?)\}", (ROOT / STYLE).read_text("utf-8"), re.DOTALL):
        yield dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block))


def test_text_stands_out_from_what_is_behind_it() -> None:
    """Text on page, cards, verdicts and badges has at least the contrast of WCAG level AA."""
    found = list(themes())
    assert len(found) == 3
    for colours in found:
        behind = ["page", "card", *(f"{state}-bg" for state in STATES)]
        pairs = [(text, back) for text in ("ink", "now") for back in behind]
        pairs += [("soft", "page"), ("soft", "card")]
        pairs += [(state, back) for state in STATES for back in (f"{state}-bg", "card")]
        weak = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
        assert not {pair: ratio for pair, ratio in weak.items() if ratio < AA}


@pytest.mark.parametrize("template", TEMPLATES)
def test_tables_say_what_they_are_and_headings_what_they_head(template: str) -> None:
    """Each table has a caption, and each heading of a table a scope."""
    text = (ROOT / template).read_text("utf-8")
    assert text.count("<table") == text.count("<caption")
    assert not re.findall(r"<th(?![a-z])(?! scope=)[^>]*>", text)


def test_the_contrast_is_that_of_the_standard() -> None:
    """Black on white is 21, a colour on itself 1, and #767676 on white just above the least."""
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#abc", "#aabbcc") == pytest.approx(1)
    assert AA < contrast("#767676", "#fff") < 4.55
