"""The results file: each benchmark rewrites its own section, and lists skipped measurements."""

from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.drift_results import Job, Measured, Plan, report

ONE = {"seconds": 0.5, "processor": 0.6, "peak_mb": 300.0}


def measured(**changes: object) -> Measured:
    """Return the results of a run, with changes."""
    estimates = {"recall": 0.80, "roc_auc": 0.84}
    known = {
        "turns": {"ours": ONE, "bare": {**ONE, "seconds": 0.4}},
        "alone": {(store, times): ONE for store in ("plain", "people") for times in (1, 10)},
        "peers": {"Evidently": {"seconds": 15.0, "peak_mb": 1500.0}},
        "skipped": {"NannyML": "nannyml cannot be installed"},
        "estimates": {"ours": estimates, "labels": estimates},
        "job": Job(6.0, 3.5, 72_000),
    }
    return Measured(**{**known, **changes})


def test_ratios_and_what_was_skipped() -> None:
    """Each goal is listed with its limit, and a peer that could not run with the reason."""
    text = "\n".join(report(measured(), Plan(1000, 100, 3, 1, 1)))
    assert "| × faster than Evidently | ≥ 20 | 30.0 |" in text
    assert "| × the bare loop | ≤ 1.5 | 1.25 (of processor 1.00) |" in text
    assert "1.50 (6.0 / 4.0 s)" in text
    assert "| NannyML | skipped: nannyml cannot be installed | | |" in text
    assert "distance from CBPE" not in text


def test_the_distance_from_cbpe_is_the_largest() -> None:
    """The distance from CBPE is the maximum over all metrics that both estimate."""
    both = {"ours": {"recall": 0.80, "roc_auc": 0.84}, "NannyML": {"recall": 0.81, "roc_auc": 0.83}}
    both["labels"] = both["ours"]
    text = "\n".join(report(measured(estimates=both), Plan(1000, 100, 3, 1, 1)))
    assert "largest distance from CBPE | ≤ 0.02 | 0.0100 |" in text


def test_a_section_replaces_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run replaces its own section in place and keeps the other one."""
    path = tmp_path / "RESULTS.md"
    monkeypatch.setattr(results, "RESULTS", path)
    results.keep("one", "One", "first")
    results.keep("two", "Two", "second")
    results.keep("one", "One", "again")
    text = path.read_text("utf-8")
    assert "first" not in text
    assert text.count("<!-- one -->") == 1
    assert text.index("again") < text.index("second")
