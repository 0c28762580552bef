"""Files, rooms and links that the documents name exist; test_stack runs their commands."""

import re

import pytest

from tests.live import ROOT

DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
)
NOT_OURS = {"utils.py", "model_report.md", "churn.py"}
GENERATED = ("artifacts/", "monitoring/reports/")
FILE = re.compile(r"`([\w./-]+\.(?:py|md|yml|html|po|svg|sh|toml))(?::\d+)?`")
PACKAGES = ("core", "serving", "monitoring", "mlflow_project")
HISTORY = ("docs/decisions/", "CHANGELOG.md")
"""Decision records and the changelog describe their day, and may name files removed since."""


def text(document: str) -> str:
    """Return the text of a document."""
    return (ROOT / document).read_text("utf-8")


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if not d.startswith(HISTORY)])
def test_files_that_are_named_exist(document: str) -> None:
    """Files that a document names exist, by their path from the root or by their name alone."""
    tracked = {p.name for folder in (*PACKAGES, "data", "scripts", "tests", "benchmarks", "docs")
               for p in (ROOT / folder).rglob("*")}  # fmt: skip
    tracked |= {path.name for path in ROOT.iterdir()}
    for name in set(FILE.findall(text(document))) - NOT_OURS:
        if name.startswith(GENERATED):
            continue
        if "/" in name:
            assert (ROOT / name).exists(), name
        else:
            assert name in tracked, name


def test_names_that_recipes_send_to_are_there() -> None:
    """For each `NAME` of `a/file.py` in CONTRIBUTING.md the file defines that name."""
    found = re.findall(r"`(\w+)`\s+of\s+`([\w/]+\.py)`", text("CONTRIBUTING.md"))
    assert len(found) > 5
    for name, file in found:
        defined = rf"^(?:\s*def |class |(?:\w+, )*){name}\b"
        assert re.search(defined, text(file), re.MULTILINE), (name, file)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """Relative links name files of the repository; anchors name headings of those."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(document)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            known = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in known, target


def blocks(document: str) -> list[str]:
    """Return the code blocks of a document."""
    return re.findall(r"^```.*?^```", text(document), re.DOTALL | re.MULTILINE)


def test_the_readme_says_the_same_in_both_languages() -> None:
    """Both READMEs have equal code blocks and links, and as many headings, images and rows."""
    english, portuguese = "README.md", "README.pt-BR.md"
    assert blocks(english) == blocks(portuguese)
    assert len(blocks(english)) > 5
    for pattern in (r"^#+ ", r"^\| ", r"^!\[.*\]\(.*\)$"):
        count = [len(re.findall(pattern, text(one), re.MULTILINE)) for one in (english, portuguese)]
        assert count[0] == count[1] > 0, pattern
    one, other = (set(re.findall(r"\]\((.*?)\)", text(name))) for name in (english, portuguese))
    assert one - {portuguese} == other - {english}
    assert portuguese in one and english in other
    for name in re.findall(r"`([a-z_./-]+ ?[a-z_-]+)`", text(english)):
        assert name in text(portuguese), name


def test_the_glossary_explains_what_operators_read() -> None:
    """The glossary has the operators' terms, each once, in alphabetical order."""
    table = text("RUNBOOK.md").split("## 13. Glossário")[1]
    words = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[1:]
    known = " ".join(words).lower()
    for word in ("alias", "baseline", "psi", "p95", "journal", "recall", "drift", "shadow",
                 "threshold", "inconclusive", "rollback", "score"):  # fmt: skip
        assert word in known
    assert words == sorted(set(words), key=str.lower)


def test_every_room_has_a_line_in_contributing() -> None:
    """CONTRIBUTING.md lists exactly the rooms (subpackages) that exist."""
    listed = set(re.findall(r"^\| `([\w/]+)/` \|", text("CONTRIBUTING.md"), re.MULTILINE))
    rooms = {
        folder.parent.relative_to(ROOT).as_posix()
        for package in (*PACKAGES, "scripts")
        for folder in (ROOT / package).glob("*/__init__.py")
    }
    assert listed == rooms | {"data", "scripts"}


def test_journeys_are_ten_lines_each() -> None:
    """Each of the four journeys has ten steps, and names a file at least eight times."""
    journeys = text("CONTRIBUTING.md").split("## Journeys")[1].split("## Recipes")[0]
    parts = journeys.split("### ")[1:]
    assert len(parts) == 4
    for part in parts:
        steps = re.findall(r"^\d+\. .*$", part, re.MULTILINE)
        assert len(steps) == 10
        assert len(FILE.findall(part)) >= 8


def test_contributing_has_the_eight_recipes() -> None:
    """CONTRIBUTING.md has one recipe for each of the eight usual additions."""
    recipes = text("CONTRIBUTING.md").split("## Recipes")[1]
    added = re.findall(r"^\*\*Add a (.+?)\.\*\*", recipes, re.MULTILINE)
    assert added == [
        *("feature", "drift statistic", "flavour", "log field"),
        *("metric", "message", "page", "command"),
    ]


def test_recipes_name_objects_of_their_files() -> None:
    """Names in four recipes occur in the files that they name; the cited section covers the log."""
    recipes = text("CONTRIBUTING.md").split("## Recipes")[1].split("**Add a ")[1:]
    for recipe in recipes[:4]:
        files = "\n".join(text(file) for file in FILE.findall(recipe))
        names = re.findall(r"`(\w+)`", recipe)
        assert names, recipe
        for name in names:
            assert re.search(rf"\b{name}\b", files), name
    (section,) = re.findall(r"RUNBOOK §([\d.]+\d|\d)", recipes[3])
    told = re.split(rf"^#+ {re.escape(section)} ", text("RUNBOOK.md"), flags=re.MULTILINE)[1]
    assert "logs/app.log" in re.split(r"^##", told, flags=re.MULTILINE)[0], section


def test_a_released_version_has_its_section() -> None:
    """The changelog has a dated section for the version in pyproject.toml."""
    found = re.search(r'^version = "(.+)"$', text("pyproject.toml"), re.MULTILINE)
    assert found
    dated = rf"^## {re.escape(found[1])} — \d{{4}}-\d\d-\d\d$"
    assert re.search(dated, text("CHANGELOG.md"), re.MULTILINE)


def test_the_tests_that_reliability_names_exist() -> None:
    """Every test that docs/reliability.md names exists."""
    file, named = "", 0
    for path, function in re.findall(r"`([\w/.]*)::(\w+)`", text("docs/reliability.md")):
        file = path or file
        source = text(f"tests/{file}")
        assert re.search(rf"def {function}\(", source), (file, function)
        named += 1
    assert named > 30
