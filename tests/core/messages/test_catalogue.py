"""Every user-visible string has a translation, and the compiled catalogue is up to date."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from core.messages import DOMAIN, _, grouped, ngettext
from tests.live import ROOT

PACKAGES = ("core", "mlflow_project", "serving", "monitoring", "data", "scripts")
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
Msgid = str | tuple[str, ...]


@pytest.fixture(scope="module")
def by_package() -> dict[str, set[Msgid]]:
    """Return every source string that the code and the templates mark, by package."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found: dict[str, set[Msgid]] = {}
    for name, _line, message, _comments, _context in extract_from_dir(
        ROOT, methods, options, KEYWORDS, directory_filter=_is_ours
    ):
        assert message, name
        of_package = found.setdefault(Path(name).parts[0], set())
        of_package.add(message if isinstance(message, str) else tuple(message))
    return found


@pytest.fixture(scope="module")
def extracted(by_package: dict[str, set[Msgid]]) -> set[Msgid]:
    """Return the source strings of all packages."""
    found = set().union(*by_package.values())
    assert len(found) > 20
    return found


def _is_ours(folder: str) -> bool:
    relative = Path(folder).relative_to(ROOT)
    return not relative.parts or relative.parts[0] in PACKAGES


def read(name: str, reader: object) -> Catalog:
    """Return the Portuguese catalogue, from its source or from its compiled file."""
    with (ROOT / "core" / "messages" / "pt_BR" / "LC_MESSAGES" / name).open("rb") as file:
        return reader(file, "pt_BR") if reader is read_po else reader(file)  # type: ignore[operator]


def translations(catalogue: Catalog) -> dict[Msgid, Msgid]:
    """Return source string → translation, without the header."""
    return {_plain(message.id): _plain(message.string) for message in catalogue if message.id}


def _plain(text: Any) -> Msgid:
    return text if isinstance(text, str) else tuple(text)


def test_every_string_is_translated(extracted: set[Msgid]) -> None:
    """Every marked string has a translation, and every translation belongs to a marked string."""
    known = translations(read(f"{DOMAIN}.po", read_po))
    new, gone = extracted - known.keys(), known.keys() - extracted
    assert not new, "run `make messages` and translate the new strings"
    assert not gone, "run `make messages`: no code shows these any more"
    assert not [source for source, target in known.items() if not all(_each(target))]


@pytest.mark.parametrize("package", ["serving", "monitoring"])
def test_serving_and_monitoring_tell_of_no_children(
    package: str, by_package: dict[str, set[Msgid]]
) -> None:
    """No message of these packages has a word of the school domain, in either language."""
    school = re.compile(r"crian[çc]|alun[oa]|estudant|escol|\bfases?\b|child|student|school|pupil")
    known = translations(read(f"{DOMAIN}.po", read_po))
    assert len(by_package[package]) > 50
    for source in by_package[package]:
        said = [*_each(source), *_each(known.get(source, ""))]
        assert not [text for text in said if school.search(text.lower())]


def _each(text: Msgid) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def test_the_compiled_catalogue_is_the_current_one() -> None:
    """`messages.mo` has the same translations as `messages.po`."""
    compiled = translations(read(f"{DOMAIN}.mo", read_mo))
    assert compiled == translations(read(f"{DOMAIN}.po", read_po)), "run `make messages`"


def test_a_translation_names_the_facts_of_its_source() -> None:
    """A translation has the placeholders of its source; any other would raise KeyError."""
    for source, target in translations(read(f"{DOMAIN}.po", read_po)).items():
        known = set().union(*map(fields, _each(source)))
        # A singular may omit the number that the plural states.
        optional = {"n"} if isinstance(source, tuple) else set()
        for text in _each(target):
            assert known - optional <= fields(text) <= known, source


def fields(text: str) -> set[str]:
    """Return the placeholder names of a format string."""
    return {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name}


def test_no_message_hides_in_an_f_string() -> None:
    """Each message is one literal: Babel reads no f-strings and warns of one in a call.

    Facts are arguments of the call: `.format` on its result would skip the language's formats.
    """
    wrong = [where for package in PACKAGES for where in _unseen(ROOT / package)]
    assert not wrong


def test_a_call_gives_the_facts_that_its_message_names() -> None:
    """Each call passes exactly its message's placeholders; a missing one would raise KeyError."""
    wrong = [where for package in PACKAGES for where in _without_facts(ROOT / package)]
    assert not wrong


def _without_facts(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in KEYWORDS:
                continue
            given = {keyword.arg for keyword in node.keywords}
            told = [one.value for one in node.args if isinstance(one, ast.Constant)]
            # Facts of `N_` messages and of `**facts` are known only at run time.
            if node.func.id == "N_" or None in given:  # type: ignore[attr-defined]
                continue
            counted = {"n"} if node.func.id == "ngettext" else set()  # type: ignore[attr-defined]
            named = set().union(*(fields(one) for one in told if isinstance(one, str)))
            if told and named - counted != given - counted:
                yield f"{path.relative_to(ROOT)}:{node.lineno}"


def _unseen(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        within = {
            id(node)
            for joined in ast.walk(tree)
            if isinstance(joined, ast.JoinedStr)
            for node in ast.walk(joined)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KEYWORDS:
                first = node.args[0] if node.args else None
                hidden = id(node) in within and isinstance(first, ast.Constant)
                beside = any(isinstance(one.value, ast.JoinedStr) for one in node.keywords)
                if hidden or beside or isinstance(first, ast.JoinedStr | ast.BinOp):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}"
            filled = isinstance(node, ast.Attribute) and node.attr in ("format", "format_map")
            if filled and getattr(getattr(node.value, "func", None), "id", "") in KEYWORDS:  # type: ignore[attr-defined]
                yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_the_language_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portuguese unless `APP_LANGUAGE` is `en`; numbers are formatted for the language."""
    monkeypatch.delenv("APP_LANGUAGE", raising=False)
    assert _("Green") == "Verde"
    assert ngettext("{n} day", "{n} days", 1234) == "1.234 dias"
    assert _("less than {number} %", number=0.5) == "menos de 0,5 %"
    monkeypatch.setenv("APP_LANGUAGE", "en")
    assert _("Green") == "Green"
    assert ngettext("{n} day", "{n} days", 1) == "1 day"
    assert _("less than {number} %", number=0.5) == "less than 0.5 %"
    assert grouped(1234) == "1,234"
