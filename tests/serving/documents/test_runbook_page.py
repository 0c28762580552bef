"""Documents as HTML pages: complete markup, unique anchors, and links that resolve."""

import re
from typing import Any

import pytest

from serving.documents.markdown import html_of, linked, linked_page
from serving.documents.page import render, served_files
from tests.live import ROOT

RUNBOOK = (ROOT / "RUNBOOK.md").read_text("utf-8")
SERVED = sorted(name for name in served_files() if name.endswith(".md"))


@pytest.mark.parametrize("name", SERVED)
def test_every_block_table_and_heading_of_a_document_is_one(name: str) -> None:
    """All blocks, tables and headings become HTML, no Markdown remains, and anchors are unique."""
    text = (ROOT / name).read_text("utf-8")
    page = render(name, "")
    blocks = re.findall(r"^ *```.*?^ *```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    assert page.count("<pre ") == len(blocks)
    assert page.count("<table ") == len(re.findall(r"^\|[ :|-]+\|$", prose, re.MULTILINE))
    assert page.count("<th") == page.count('<th scope="col"') + page.count("<thead>")
    anchors = re.findall(r'<h\d id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors)) == len(re.findall("^#+ ", prose, re.MULTILINE))
    body = re.sub(r"<pre.*?</pre>|<code>.*?</code>", "", page.split("<main")[1], flags=re.DOTALL)
    assert not re.findall(r"\n[-*] |\*\*|```|\]\(", body)


@pytest.mark.parametrize("name", SERVED)
def test_links_and_pictures_of_a_document_are_served(name: str) -> None:
    """Each link of a document leads to a served file, and its anchor to a heading there."""
    for target in re.findall(r'(?:href|src)="([^"]+)"', render(name, "").split("<p class", 1)[1]):
        path, _, anchor = target.partition("#")
        if "://" in target or path in ("painel", "runbook"):
            continue
        file = path.removeprefix("runbook/") if path else name
        assert file in served_files(), target
        assert not anchor or f'id="{anchor}"' in render(file, ""), target


def test_every_section_that_code_and_the_runbook_name_is_there() -> None:
    """Each section mark, such as `§3.4`, in the runbook, templates and messages has its anchor."""
    page = render("RUNBOOK.md", "")
    marks = set(re.findall(r"§+(\d+(?:\.\d+)*)", RUNBOOK))
    for package in ("serving", "monitoring"):
        for path in (ROOT / package).rglob("*"):
            if path.suffix == ".html" or path.name in ("concerns.py", "escalation.py"):
                marks |= set(re.findall(r"§(\d+(?:\.\d+)*)", path.read_text("utf-8")))
    assert len(marks) > 25
    assert not [mark for mark in marks if f'id="{mark}"' not in page]


def test_the_proxy_serves_the_runbook_and_nothing_besides_documents(proxy: Any) -> None:
    """/runbook serves documents and their images; any other path is a 404."""
    page = proxy.http.get("/runbook")
    assert page.status_code == 200
    assert "script-src" not in page.headers["content-security-policy"]
    assert "<h1" in page.text
    picture = proxy.http.get("/runbook/docs/images/painel.png")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    for path in ("serving/app.py", "..%2f..%2fetc%2fpasswd", ".env", "docs/../.env", "docs", "",
                 "/etc/passwd"):  # fmt: skip
        assert proxy.http.get(f"/runbook/{path}").status_code == 404, path


def test_marks_become_links_and_the_rest_stays_text() -> None:
    """Section marks become links in text, but not in tags, titles, existing links or styles."""
    assert str(linked("<b> (§3.4) & §6", "runbook")) == (
        '&lt;b&gt; (<a href="runbook#3.4">§3.4</a>) &amp; <a href="runbook#6">§6</a>'
    )
    page = '<title>§1</title><p title="§2">a §3.1, b</p><a href="x">§4</a><style>§5</style>'
    assert linked_page(page, "r") == page.replace("§3.1", '<a href="r#3.1">§3.1</a>')


def test_a_link_to_what_is_not_served_is_text() -> None:
    """A link to a file that is not served is rendered as plain text."""
    html = html_of("[a](x.py) [b](docs/b.md#c) [c](https://h/)", "N.md", {"docs/b.md"}, "up/")
    assert html == (
        '<p><span>a</span> <a href="up/docs/b.md#c">b</a> <a href="https://h/">c</a></p>'
    )
