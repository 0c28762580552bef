"""HTML templates: one skeleton, all values escaped, one script only."""

import re
from pathlib import Path

import pytest

from tests.live import ROOT

TEMPLATES = [
    path
    for package in ("core", "serving", "monitoring", "mlflow_project")
    for path in sorted((ROOT / package).rglob("templates/*.html"))
]
AS_IT_IS = {
    "core/pages/templates/page.html": "style",
    "mlflow_project/runs/templates/document.html": "body",
    "serving/documents/templates/document.html": "body",
    "serving/lists/templates/lista.html": "script",
}
"""The one unescaped value of each template: own files, and sanitised Markdown."""


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_escapes_what_it_shows(path: Path) -> None:
    """Only the values of `AS_IT_IS` are unescaped, and only `lista.html` has a script."""
    name, text = path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
    allowed = [AS_IT_IS[name]] if name in AS_IT_IS else []
    assert re.findall(r"(\w+)\s*\|\s*safe\b", text) == allowed
    assert "autoescape false" not in text
    scripts = re.findall(r"<script[^>]*>", text)
    assert scripts == (["<script>"] if name == "serving/lists/templates/lista.html" else [])
    assert not re.search(r"\son\w+\s*=|javascript:", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_page_extends_the_skeleton(path: Path) -> None:
    """Each template extends the skeleton, is the skeleton, or defines macros."""
    text = path.read_text("utf-8")
    assert path.name == "page.html" or "{% extends" in text or "{% macro" in text
