"""Label files in their accepted formats, and their join with captured predictions."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.captured.reader import Captures
from core.captured.selection import Selection
from core.contract.model import Feature, ModelContract
from core.contract.pseudonym import pseudonym
from monitoring.performance.errors import LabelsError
from monitoring.performance.labels import Labels, read_labels
from monitoring.performance.matching import COLUMNS, Matched, match, versions_that_answered

CONTRACT = ModelContract("v1.0.0", (Feature("wear"),), "failure", 0.5, entity="serial")
YEARLY = replace(CONTRACT, horizon=1)
KEY = "a key of the tests"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the pseudonym key."""
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Labels]:
    """Return a function that writes a text to a file and returns the labels read from it."""

    def run(
        text: str,
        suffix: str = ".csv",
        target: str = "target",
        contract: ModelContract = CONTRACT,
        period: int | None = None,
        classes: tuple[str, ...] = (),
    ) -> Labels:
        path = tmp_path / f"labels{suffix}"
        path.write_text(text, encoding="utf-8")
        return read_labels(path, contract, target, (), period, lambda: classes)

    return run


def by_whom(labels: Labels) -> dict[Any, int]:
    """Return the labels by key, for a version without periods."""
    assert not labels.periods
    return {who: target for (who, _period), target in labels.targets.items()}


@pytest.mark.parametrize(
    "text",
    [
        "request_id,instance,target\na,0,1\na,1,0\n",
        "target;instance;request_id\n1;0;a\n0;1;a\n",
        "\ufeffrequest_id,instance,target\r\na,0,true\r\na,1,0.0\r\n",
        "request_id\tinstance\ttarget\na\t0\t1,0\na\t1\t0,0\n",
        'request_id;instance;target\n"a";"0";"Sim"\na;1;Não\n',
    ],
)
def test_csv_by_request(read: Callable[..., Labels], text: str) -> None:
    """CSV is read with any separator, byte-order mark, quotes and spelling of 0 and 1."""
    labels = read(text)
    assert labels.by == "request"
    assert by_whom(labels) == {("a", 0): 1, ("a", 1): 0}


def test_every_format_says_the_same(read: Callable[..., Labels], tmp_path: Path) -> None:
    """JSON lines and Parquet with numbers give the expected labels."""
    rows = [{"request_id": "a", "instance": i, "target": i % 2} for i in range(4)]
    expected = {("a", i): i % 2 for i in range(4)}
    assert by_whom(read("\n".join(map(json.dumps, rows)), ".jsonl")) == expected
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "labels.parquet")
    assert by_whom(read_labels(tmp_path / "labels.parquet", CONTRACT)) == expected


def test_identities_in_clear_become_pseudonyms(read: Callable[..., Labels], tmp_path: Path) -> None:
    """Plain identities are pseudonymised: spaces and case are ignored, leading zeros are kept."""
    labels = read("serial,target\n007,1\n sn-8 ,0\n")
    assert labels.by == "entity"
    assert by_whom(labels) == {pseudonym("007", KEY): 1, pseudonym("SN-8", KEY): 0}
    pq.write_table(pa.table({"serial": [12.0, None], "target": [1, 1]}), tmp_path / "l.parquet")
    found = read_labels(tmp_path / "l.parquet", CONTRACT)
    assert by_whom(found) == {pseudonym("12", KEY): 1}
    assert found.n_unknown == 1


def test_pseudonyms_are_taken_as_they_are(read: Callable[..., Labels]) -> None:
    """A column `entity` is taken as pseudonyms, in lower case."""
    known = pseudonym("SN-1", KEY)
    labels = read(f"entity,passed\n{known.upper()},1\n", target="passed")
    assert by_whom(labels) == {known: 1}


@pytest.mark.parametrize(
    ("positive", "classes", "yes", "no"),
    [
        (1, ("no", "yes"), "Yes", "no"),
        (0, ("churn", "stay"), "churn", "stay"),
        (0, ("0", "1"), "0.0", "1"),
        (2, ("a", "b", "c"), "c", "a"),
    ],
)
def test_outcomes_in_the_models_own_words(
    read: Callable[..., Labels], positive: int, classes: tuple[str, ...], yes: str, no: str
) -> None:
    """Class names are read as outcomes; 1 is the positive class, others are refused by row."""
    contract = replace(CONTRACT, positive_class=positive)
    text = f"entity,target\na,{yes}\nb,{no}\nc,\n"
    labels = read(text, contract=contract, classes=classes)
    assert by_whom(labels) == {"a": 1, "b": 0}
    with pytest.raises(LabelsError, match=f"linha de dados 1.*{classes[0]}"):
        read("entity,target\na,PLANTED\n", contract=contract, classes=classes)


def test_what_is_wrong_is_counted(read: Callable[..., Labels]) -> None:
    """Duplicates count once, contradictions are dropped, and incomplete rows are counted."""
    labels = read("serial,target\na,1\na,1\nb,0\nb,1\nb,0\nc,\n,1\nd,0\n")
    assert by_whom(labels) == {pseudonym("a", KEY): 1, pseudonym("d", KEY): 0}
    assert (labels.n_rows, labels.n_unknown) == (8, 2)
    assert (labels.n_duplicates, labels.n_conflicts) == (2, 1)


@pytest.mark.parametrize(
    ("text", "suffix", "words"),
    [
        ("serial,goal\nPLANTED,1\n", ".csv", "não tem a coluna target"),
        ("name,target\nPLANTED,1\n", ".csv", "request_id"),
        ("serial,target,target\nPLANTED,1,0\n", ".csv", "repete target"),
        ("", ".csv", "cabeçalho"),
        ("serial,target\nPLANTED,PLANTED\n", ".csv", "linha de dados 1"),
        ("request_id,instance,target\na,PLANTED,1\n", ".csv", "linha de dados 1"),
        ("serial,target\nPLANTED\n", ".csv", "linha 2"),
        ('{"serial": "PLANTED", ', ".jsonl", "linha 1"),
        ("PLANTED", ".parquet", "não é Parquet"),
        ("PLANTED", ".xlsx", "não é .xlsx"),
    ],
)
def test_errors_quote_no_value(
    read: Callable[..., Labels], text: str, suffix: str, words: str
) -> None:
    """A malformed file gives one line with problem and position, and no value from the file."""
    with pytest.raises(LabelsError) as caught:
        read(text, suffix)
    assert words in str(caught.value)
    assert "PLANTED" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_identities_in_clear_need_the_key(
    read: Callable[..., Labels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain identities without PSEUDONYM_KEY are refused; the error names the variable."""
    monkeypatch.delenv("PSEUDONYM_KEY")
    with pytest.raises(LabelsError, match="PSEUDONYM_KEY"):
        read("serial,target\nPLANTED,1\n")


def joined(writer: Any, labels: Labels, days: float = 30) -> Matched:
    """Join labels with the predictions of version 1 in the last `days`."""
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=days), now)
    features = {"temperature": "double", "pressure": "double", "wear": "double"}
    return match(labels, Captures(writer.store, selection, features).rows(COLUMNS))


def answer(entity: str | None, score: float) -> dict[str, Any]:
    """Return a captured row, flagged from 0.5 on."""
    return {"entity": entity, "score": score, "label": int(score >= 0.5)}


def labelled(by: Any, targets: dict[Any, int]) -> Labels:
    """Return labels of these targets, without unknown, duplicate or conflicting rows."""
    return Labels(by, {(who, None): t for who, t in targets.items()}, len(targets), 0, 0, 0)


def test_an_entitys_label_judges_its_latest_answer(writer: Any) -> None:
    """A label by entity joins its latest prediction; coverage counts all entities in the window."""
    for hours, score in ((300, 0.9), (30, 0.2), (3, 0.6)):
        journal = writer.journal([answer("a", score)], age=timedelta(hours=hours))
        if hours == 30:
            writer.parquet(journal)
    writer.journal([answer("b", 0.1), answer(None, 0.4)])
    labels = labelled("entity", {"a": 1, "nobody": 0})
    found = joined(writer, labels)
    assert (found.score.tolist(), found.flag.tolist(), found.target.tolist()) == ([0.6], [1], [1])
    assert (found.n_answers, found.n_entities, found.n_labelled) == (5, 3, 3)
    assert found.n_unmatched == 1
    assert found.coverage == pytest.approx(1 / 3)
    assert joined(writer, labels, days=2).n_answers == 4


def test_a_requests_label_judges_that_answer(writer: Any) -> None:
    """A label by request joins the prediction at its position, with that prediction's month."""
    writer.parquet(writer.journal([answer(None, i / 20) for i in range(20)]))
    found = joined(writer, labelled("request", {("r1", 3): 1, ("r0", 2): 0, ("r9", 0): 1}))
    assert sorted(zip(found.score.tolist(), found.target.tolist(), strict=True)) == [
        (0.1, 0),
        (0.65, 1),
    ]
    moment = datetime.now(UTC) - timedelta(hours=1)
    assert found.months == [moment.strftime("%Y-%m")] * 2
    assert found.thresholds == (0.5,)


def test_an_entity_labelled_by_two_requests_counts_once(writer: Any) -> None:
    """Of an entity's labelled predictions the latest counts."""
    rows = [answer("a", 0.9), answer("b", 0.8)]
    writer.journal([{**row, "request_id": "old"} for row in rows], age=timedelta(days=9))
    writer.journal([{**answer("a", 0.3), "request_id": "new"}])
    keys = {("old", 0): 1, ("old", 1): 1, ("new", 0): 0}
    found = joined(writer, labelled("request", keys))
    assert sorted(found.score.tolist()) == [0.3, 0.8]
    assert (found.n_labelled, found.n_rows) == (3, 2)


def test_nothing_matched_is_empty(writer: Any) -> None:
    """Without labels, predictions or scores the result is empty arrays, not an error."""
    empty = joined(writer, labelled("entity", {}))
    assert (empty.n_rows, empty.n_answers, empty.coverage) == (0, 0, None)
    writer.journal([{"entity": "a", "score": None, "label": None}])
    found = joined(writer, labelled("entity", {"a": 1}))
    assert (found.n_rows, found.n_answers) == (0, 1)
    assert found.target.dtype == np.int64


def in_year(entity: str, score: float, year: int | None) -> dict[str, Any]:
    """Return a captured row of a pseudonymised entity, with this period."""
    return {**answer(pseudonym(entity, KEY), score), "period": year}


def test_outcomes_of_a_year_judge_only_the_answers_about_the_year_before(
    read: Callable[..., Labels], writer: Any
) -> None:
    """Outcomes of 2024 join no prediction about 2022, and those left out are counted."""
    people = [f"p{i}" for i in range(150)]
    writer.parquet(writer.journal([in_year(who, 0.9, 2022) for who in people]))
    lines = "".join(f"{who},0,2024\n" for who in people)
    found = joined(writer, read(f"serial,target,outcome_year\n{lines}", contract=YEARLY))
    assert (found.n_rows, found.n_answers, found.coverage) == (0, 0, None)
    assert (found.n_other_period, found.n_without_period, found.n_unmatched) == (150, 0, 150)
    again = joined(writer, read("serial,target,outcome_year\np1,0,2023\n", contract=YEARLY))
    assert (again.n_rows, again.n_other_period) == (1, 0)


def test_each_outcome_finds_the_answer_of_its_period(
    read: Callable[..., Labels], writer: Any
) -> None:
    """An entity scored in two periods is joined in both; other predictions are counted."""
    writer.journal([in_year("a", 0.1, 2022)], age=timedelta(days=9))
    writer.journal([in_year("a", 0.2, 2023), in_year("a", 0.3, 2024), in_year("a", 0.4, None)])
    labels = read("serial,target,outcome_year\na,0,2023\na,1,2024\n", contract=YEARLY)
    assert labels.n_conflicts == 0
    found = joined(writer, labels)
    pairs = zip(found.score.tolist(), found.target.tolist(), strict=True)
    assert sorted(pairs) == [(0.1, 0), (0.2, 1)]
    assert (found.n_entities, found.n_other_period, found.n_without_period) == (2, 1, 1)


def test_a_stated_period_takes_answers_that_have_none(
    read: Callable[..., Labels], writer: Any
) -> None:
    """`--period` applies to predictions without a period, and to files without years."""
    writer.journal([in_year("a", 0.2, None), in_year("b", 0.3, 2023), in_year("c", 0.4, 2022)])
    found = joined(writer, read("serial,target\na,1\nb,0\nc,1\n", contract=YEARLY, period=2023))
    assert sorted(found.score.tolist()) == [0.2, 0.3]
    assert (found.n_unmatched, found.n_other_period, found.n_without_period) == (1, 1, 0)
    text = "serial,target,outcome_year\na,1,2024\nb,0,2023\n"
    labels = read(text, contract=YEARLY, period=2023)
    assert (len(labels.targets), labels.n_other_period) == (1, 1)


def test_without_a_horizon_years_do_not_matter(read: Callable[..., Labels], writer: Any) -> None:
    """Without a horizon in the contract, periods of predictions and outcomes are ignored."""
    writer.journal([in_year("a", 0.2, 2021), in_year("b", 0.3, None)])
    found = joined(writer, read("serial,target,outcome_year\na,1,1999\nb,0,2030\n"))
    assert (found.n_rows, found.n_other_period, found.n_without_period) == (2, 0, 0)


def test_a_file_without_a_year_asks_for_the_period(read: Callable[..., Labels]) -> None:
    """A file without years needs `--period`; an invalid year is refused by row, not by value."""
    with pytest.raises(LabelsError, match="--period"):
        read("serial,target\na,1\n", contract=YEARLY)
    with pytest.raises(LabelsError, match="linha de dados 1: outcome_year não é um ano") as caught:
        read("serial,target,outcome_year\na,1,PLANTED\n", contract=YEARLY)
    assert "PLANTED" not in str(caught.value)
    assert read("serial,target,outcome_year\na,1,\n", contract=YEARLY).n_unknown == 1


def test_the_versions_that_answered_a_period(read: Callable[..., Labels], writer: Any) -> None:
    """Versions with primary predictions for the period are returned; a given period fills nulls."""
    writer.journal([in_year("a", 0.2, 2022)], number=1)
    writer.parquet(writer.journal([in_year("a", 0.2, 2023)], number=2))
    writer.journal([in_year("b", 0.2, 2023)], number=3, role="shadow")
    writer.journal([in_year("b", 0.2, None)], number=4)
    now = datetime.now(UTC)
    selection = Selection("modelo", None, now - timedelta(days=9), now)

    def answered(period: int | None) -> list[int]:
        text = "serial,target,outcome_year\na,1,2024\n"
        labels = read(text, contract=YEARLY, period=period)
        return versions_that_answered(Captures(writer.store, selection, {}), labels)

    assert answered(None) == [2]
    assert answered(2023) == [2, 4]


def test_a_number_is_the_same_person_in_every_spelling(read: Callable[..., Labels]) -> None:
    """With an entity prefix in the contract, spellings of one number have one pseudonym."""
    numbered = replace(CONTRACT, entity_prefix="RA")
    labels = read("serial,target\nRA 12,1\nra-013,0\n", contract=numbered)
    assert by_whom(labels) == {pseudonym("RA-12", KEY): 1, pseudonym("RA-13", KEY): 0}
