"""Service levels on disk: sums by day over workers, which outlast a server restart."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from serving.metrics.kept import DAYS, KeptLevels, days
from serving.metrics.slo import ServiceTally, Slices

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
ONE = ServiceTally(10, 1, 300.0, 3.0, (9, 0, 1))
TODAY = date(2026, 3, 2)


def test_a_slice_is_kept_once_it_is_over_and_the_last_one_at_the_end(tmp_path: Path) -> None:
    """A finished slice is written once, the current one at the end; workers' slices are added."""
    for worker in range(2):
        kept = KeptLevels(tmp_path / "levels")
        kept.keep(Slices(0.0, {7: ONE}), today=TODAY)
        assert len(days(tmp_path / "levels", TODAY)) == worker
        for _ in range(2):
            kept.keep(Slices(0.0, {7: ONE, 8: ONE}), today=TODAY)
        kept.keep(Slices(0.0, {7: ONE, 8: ONE}), today=TODAY, all_of_it=True)
        kept.keep(Slices(0.0, {8: ONE}), today=TODAY, all_of_it=True)
    (found,) = days(tmp_path / "levels", TODAY)
    assert found.tally == ServiceTally(40, 4, 1200.0, 12.0, (36, 0, 4))


def test_what_cannot_be_written_or_read_is_missed_and_stops_nobody(tmp_path: Path) -> None:
    """A truncated line is skipped; a failed write is tried again at the next call."""
    KeptLevels(tmp_path).keep(Slices(0.0, {7: ONE}), today=TODAY, all_of_it=True)
    (file,) = tmp_path.glob("*.jsonl")
    with file.open("ab") as stream:
        stream.write(b"[10,1,3")
    assert days(tmp_path, TODAY)[0].tally == ONE
    kept = KeptLevels(file)
    kept.keep(Slices(0.0, {7: ONE}), today=TODAY, all_of_it=True)
    assert days(file, TODAY) == []
    file.unlink()
    kept.keep(Slices(0.0, {7: ONE}), today=TODAY, all_of_it=True)
    assert days(file, TODAY)[0].tally == ONE, "tried again"


def test_days_come_newest_first_and_old_files_go(tmp_path: Path) -> None:
    """Days without data are left out, and files older than DAYS are removed."""
    for back in (DAYS + 2, DAYS, DAYS - 1, 2, 0):
        day = TODAY - timedelta(days=back)
        KeptLevels(tmp_path).keep(Slices(0.0, {1: ONE}), today=day, all_of_it=True)
    assert [(TODAY - one.day).days for one in days(tmp_path, TODAY)] == [0, 2, DAYS - 1]
    assert len(list(tmp_path.iterdir())) == 3


def test_the_panel_shows_requests_of_an_earlier_server(
    threaded: Callable[..., Any], proxy: Any, tmp_path: Path
) -> None:
    """The requests of an earlier server are on disk after a restart."""
    settings = proxy.settings.model_copy(update={"levels_dir": tmp_path})
    with threaded(settings) as first:
        first.wait_ready()
        for _ in range(7):
            assert first.predict(ROW).status_code == 200
    with threaded(settings) as again:
        page = re.sub(r"<[^>]+>|\s+", " ", again.http.get("/painel").text)
    assert "Metas de serviço por dia" in page
    assert sum(one.tally.requests for one in days(settings.kept_levels)) == 7
