"""Reconciliation after flips by hand, concurrent flips, and flips of hosts without our lock."""

import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from core.contract import names
from core.registry.versions import Registry, open_registry
from mlflow_project.flips import canary, promotion
from mlflow_project.flips import ledger as ledger_module
from mlflow_project.flips.ledger import Ledger, exclusive
from mlflow_project.registry import main
from mlflow_project.versions.errors import Refused


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make every thread a separate host: its own name and its own lock folder."""

    def folder() -> Path:
        path = tmp_path / threading.current_thread().name
        path.mkdir(exist_ok=True)
        return path

    monkeypatch.setattr(ledger_module, "this_host", lambda: threading.current_thread().name)
    monkeypatch.setattr(ledger_module, "lock_folder", folder)


def test_a_flip_by_hand_is_told_and_noted_once(
    two_versions: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flip by hand is warned of once, by `list`, and is in `history` without an author."""
    promotion.promote(two_versions, "v1.0.0", "first")
    two_versions.client.set_registered_model_alias(two_versions.name, names.CHAMPION, "2")
    assert main(["list"]) == 0
    assert "champion foi de nº 1 a nº 2" in capsys.readouterr().err
    assert main(["history"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    line = told.out.splitlines()[-1]
    assert line.startswith("notada em 2")
    assert "não registrada" in line
    assert line.split("não registrada")[1].split()[:3] == ["v1.0.0", "v1.1.0", "–"]


def test_two_flips_from_one_champion_are_told_by_the_next_command(
    two_versions: Registry,
    register_version: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two flips from one champion are recorded as a conflict, and the rollback needs --to."""
    register_version(two_versions.name, "v1.2.0", alias=None, rows=120)
    promotion.promote(two_versions, "v1.0.0", "first")
    ledger = Ledger(two_versions)
    for after in ("2", "3"):
        ledger.record(
            names.LEDGER_PROMOTE, "at once", before="1", after=after, host=f"host-{after}"
        )
    two_versions.set_alias(names.PREVIOUS, 1)
    two_versions.set_alias(names.CHAMPION, 2)
    assert main(["rollback", "--reason", "which one?"]) == 1
    told = capsys.readouterr().err
    assert "@host-2 e " in told
    assert "@host-3 mudaram a champion ao mesmo tempo" in told
    assert "--to" in told
    last = ledger.flips()[-1]
    assert (last.action, last.before, last.after) == (names.LEDGER_CONFLICT, "3", "2")
    assert main(["history"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "conflito" in shown.out.splitlines()[-1]
    promotion.rollback(two_versions, "decided", to="v1.0.0")
    promotion.rollback(two_versions, "and back")
    assert two_versions.aliases() == {"champion": 2, "previous": 1}


@pytest.mark.parametrize("tag", ["host", "mlflow.user"])
def test_anothers_flip_under_way_is_left_alone(
    two_versions: Registry, capsys: pytest.CaptureFixture[str], tag: str
) -> None:
    """An open flip of another host or user is not undone by `list`; a promotion is refused."""
    promotion.promote(two_versions, "v1.0.0", "first")
    ledger = Ledger(two_versions)
    begun = ledger.begin(names.LEDGER_PROMOTE, "under way", before="1", after="2")
    two_versions.client.set_tag(begun, tag, "elsewhere")
    two_versions.set_alias(names.PREVIOUS, 1)
    assert main(["list"]) == 0
    assert capsys.readouterr().err == ""
    with pytest.raises(Refused, match=r"elsewhere.* está mudando a champion"):
        promotion.promote(two_versions, "v1.1.0", "me too")
    two_versions.set_alias(names.CHAMPION, 2)
    ledger.close(begun)
    assert main(["list"]) == 0
    assert capsys.readouterr().err == ""
    assert two_versions.aliases() == {"champion": 2, "previous": 1}


def test_two_hosts_at_once_never_leave_a_broken_ledger(
    two_versions: Registry, hosts: None, register_version: Callable[..., int]
) -> None:
    """Racing hosts either flip or are refused; the ledger is consistent and equals the aliases."""
    register_version(two_versions.name, "v1.2.0", alias=None, rows=120)
    promotion.promote(two_versions, "v1.0.0", "first")
    barrier = threading.Barrier(2)

    def flip(release: str) -> str:
        barrier.wait(30)
        try:
            return promotion.rollback(open_registry(two_versions.name), "race", to=release).release
        except Refused as exc:
            return str(exc)

    done: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            done += pool.map(flip, ("v1.1.0", "v1.2.0"))
    ledger = canary.look(two_versions)
    flips = ledger.flips()
    assert [e.action for e in flips if e.action == names.LEDGER_CONFLICT or e.open] == []
    assert all(a.after == b.before for a, b in pairwise(flips))
    aliases = two_versions.aliases()
    assert str(aliases["champion"]) == flips[-1].after
    assert len(flips) == 1 or str(aliases["previous"]) == flips[-1].before
    assert len(flips) == 1 + sum(text.startswith("v1") for text in done), done


def test_entries_keep_their_order_under_a_clock_that_is_ahead(two_versions: Registry) -> None:
    """A flip after that of a host whose clock is an hour ahead is still the last one."""
    client, ledger = two_versions.client, Ledger(two_versions)
    ledger.begin("promote", "opens the ledger")
    experiment = client.get_experiment_by_name(f"{two_versions.name}-ledger").experiment_id
    import time

    tags = {"action": "promote", "after": "1", "reason": "ahead", "mlflow.user": "a"}
    run = client.create_run(experiment, int(time.time() * 1000) + 3_600_000, tags)
    client.set_terminated(run.info.run_id, "FINISHED")
    ledger.record("promote", "later", before="1", after="2")
    assert ledger.flips()[-1].why == "later"


def test_the_lock_is_of_its_user_alone(
    two_versions: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock's folder has mode 0700, so no other user can block a flip."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with exclusive(two_versions):
        pass
    (folder,) = (tmp_path / ".cache").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.glob("flip-*.lock"))) == 1
