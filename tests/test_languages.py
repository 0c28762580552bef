"""Help, messages, templates, pages and API texts are in the chosen language only.

The other language is detected by its function words, which hardly any sentence lacks.
"""

import argparse
import ast
import contextlib
import importlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from babel.messages.pofile import read_po

from core.messages import DOMAIN
from core.metrics import classification, multiclass, regression
from mlflow_project import registry
from mlflow_project.versions.arguments import build_parser
from serving.http.pages import text_routes
from tests.live import ROOT, eventually, find_free_port

PORTUGUESE = frozenset(
    re.findall(
        r"\S+",
        "não para uma que com dos das pelo pela ou são é também cada sem está foi mais já ao à",
    )
)
ENGLISH = frozenset(
    re.findall(
        r"\S+", "the of and is are with from which not this that be been was were by has have its"
    )
)
OTHER = {"en": PORTUGUESE, "pt_BR": ENGLISH}
PACKAGES = ("core", "mlflow_project", "serving", "monitoring", "scripts")
DOMAIN_TEXTS = ("mlflow_project/pede/features.py", "mlflow_project/dataset/risk.py")
"""Files with texts of the contract: data in the language of the model's owners."""
CODE = re.compile(r"`[^`]*`|\{[^}]*\}|%\([^)]*\)s|--?[\w-]+|\S*[/_=.]\S+|\b[A-Z_]{3,}\b")


def foreign(text: str, language: str) -> set[str]:
    """Return the words of a text, code excluded, that only the other language has."""
    words = re.findall(r"[^\W\d_]+", CODE.sub(" ", text).lower())
    return OTHER[language] & set(words)


def commands() -> Iterator[str]:
    """Yield each module that is run as a command and has options."""
    for package in (*PACKAGES, "data"):
        for path in sorted((ROOT / package).glob("*.py")):
            text = path.read_text("utf-8")
            if '__name__ == "__main__"' in text and re.search(r"[Pp]arser\(", text):
                yield f"{package}.{path.stem}"


COMMANDS = (*commands(), "serving.__main__")


def helped(module: str, *words: str) -> str:
    """Return the `--help` output of a command."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as end:
        importlib.import_module(module).main([*words, "--help"])
    assert end.value.code == 0
    return printed.getvalue()


@pytest.mark.parametrize("language", OTHER)
@pytest.mark.parametrize("module", COMMANDS)
def test_help_is_in_one_language(
    module: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The help of every command is in the chosen language only."""
    monkeypatch.setenv("APP_LANGUAGE", language)
    told = helped(module)
    assert not foreign(told, language), told


@pytest.mark.parametrize("language", OTHER)
def test_help_of_subcommands_is_in_one_language(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each subcommand has a handler and help in one language; `rehearse` has its module's help."""
    monkeypatch.setenv("APP_LANGUAGE", language)
    found = {words for words in subcommands(build_parser()) if words != ("rehearse",)}
    assert ("canary", "start") in found
    assert {name for name, *_more in found} == set(registry._COMMANDS), "one would be a KeyError"
    for words in found:
        said = helped("mlflow_project.registry", *words)
        assert not foreign(said, language), said


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    """Yield the words of each subcommand from the parser; help names them only in sentences."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield (name,)
                yield from ((name, *words) for words in subcommands(inner))


def test_texts_of_tables_are_messages() -> None:
    """Titles, meanings and summaries are in the catalogue; one without `N_` would not be."""
    from serving.app import create_app
    from serving.config.settings import Settings

    tables = (classification.METRICS, multiclass.METRICS, regression.METRICS)
    metrics = [metric for table in tables for metric in table.values()]
    texts = {text for one in metrics for text in (one.title, one.meaning) if text}
    texts |= {route.summary for route in text_routes(create_app(Settings()).routes)}
    with (ROOT / f"core/messages/pt_BR/LC_MESSAGES/{DOMAIN}.po").open("rb") as file:
        known = {message.id for message in read_po(file, "pt_BR")}
    assert texts - known == set()


def test_each_message_is_in_its_language() -> None:
    """Source strings are English, and their translations Portuguese."""
    with (ROOT / "core" / "messages" / "pt_BR" / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        catalogue = read_po(file, "pt_BR")
    wrong = [
        text
        for message in catalogue
        if message.id
        for texts, language in ((message.id, "en"), (message.string, "pt_BR"))
        for text in ((texts,) if isinstance(texts, str) else texts)
        if foreign(text, language)
    ]
    assert not wrong


def test_a_concept_has_one_portuguese_word() -> None:
    """Translations use `limiar` and `score`; options and tags keep their names."""
    with (ROOT / "core" / "messages" / "pt_BR" / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        catalogue = read_po(file, "pt_BR")
    other = re.compile(r"\bescores?\b|(?<!tag )\bthresholds?\b")
    texts = [str(message.string) for message in catalogue if message.id]
    assert not [text for text in texts if other.search(CODE.sub(" ", text).lower())]


def test_no_sentence_of_the_code_is_portuguese() -> None:
    """No string literal is Portuguese, since it could be shown in no other language."""
    found = {
        f"{path.relative_to(ROOT)}:{node.lineno}": node.value
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in DOMAIN_TEXTS
        for node in literals(path)
        if foreign(node.value, "en")
    }
    assert not found


def literals(path: Path) -> Iterator[Any]:
    """Yield the string literals of a file, except its docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    documented = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # docstrings of modules, functions, and attributes
    for node in ast.walk(tree):
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if text and id(node) not in documented:
            yield node


def test_no_template_holds_a_sentence() -> None:
    """Templates have no sentence of their own; all visible text is from the catalogue."""
    files = [path for p in PACKAGES for path in (ROOT / p).rglob("templates/*")]
    templates = [path for path in files if path.suffix in (".html", ".md")]
    assert {path.suffix for path in templates} == {".html", ".md"}
    for path in templates:
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", path.read_text("utf-8"), flags=re.S)
        said = visible(text)
        assert not foreign(said, "en") | foreign(said, "pt_BR"), path


class _Text(HTMLParser):
    """A parser that collects the visible text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self._hidden += tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def visible(page: str) -> str:
    """Return the visible text of a page."""
    parser = _Text()
    parser.feed(page)
    return " ".join(parser.parts)


@pytest.fixture
def asked(
    mlflow_server: str, register_version: Callable[..., int], tmp_path: Path
) -> Iterator[Callable[[str], str]]:
    """Yield a function that requests a path from a proxy in this process and returns the body."""
    from serving.app import create_app
    from serving.config.settings import Settings

    register_version("polyglot")
    settings = Settings(
        mlflow_tracking_uri=mlflow_server,
        model_name="polyglot",
        inference_store=tmp_path / "store",
        log_file=tmp_path / "app.log",
        model_cache=tmp_path / "cache",
    )
    port = find_free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{url}/ready").status_code == 200
        return False

    eventually(ready, 60)
    yield lambda path: httpx.get(url + path).text
    server.should_exit = True
    thread.join(30)


@pytest.mark.parametrize("language", OTHER)
def test_pages_and_api_texts_are_in_one_language(
    asked: Callable[[str], str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages but the runbook, `/health`, OpenAPI and a 404 are in the chosen language only."""
    monkeypatch.setenv("APP_LANGUAGE", language)
    from serving.app import create_app
    from serving.config.settings import Settings
    from serving.http.pages import RUNBOOK, pages_of

    found = pages_of(create_app(Settings()).routes)
    pages = {path for path in found if "{" not in path} - {RUNBOOK}
    assert pages
    for path in pages:
        shown = visible(asked(path))
        assert shown.strip()
        assert not foreign(shown, language), (path, foreign(shown, language), shown)
    for path in ("/health", "/nowhere", "/openapi.json"):
        said = " ".join(sentences(json.loads(asked(path))))
        assert not foreign(said, language), (path, foreign(said, language))


def sentences(value: Any, key: str = "") -> Iterator[str]:
    """Yield the user-visible texts of a JSON document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from sentences(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from sentences(inner, key)
    elif isinstance(value, str) and key in ("description", "summary", "message", "reasons"):
        yield value
