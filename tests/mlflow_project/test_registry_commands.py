"""Promotion, rollback, threshold, list, history and diff against a live MLflow server."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.contract import names
from core.contract.model import ModelContract
from core.mlflow_client.client import Client
from core.mlflow_client.errors import RegistryUnreachable, UnknownVersion
from core.registry.versions import Registry, open_registry
from mlflow_project.flips import canary, promotion
from mlflow_project.flips.ledger import Ledger
from mlflow_project.registry import main
from mlflow_project.versions.diff import _rows
from mlflow_project.versions.errors import Refused
from mlflow_project.versions.registration import next_release


@pytest.mark.parametrize("command", ["list", "history", "diff v1.0.0 v1.1.0"])
def test_a_misspelt_model_is_an_error_that_lists_the_models(
    two_versions: Registry,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An unknown model name ends with exit code 1 and one line; no ledger is created for it."""
    monkeypatch.setenv("MODEL_NAME", "risco-defazagem")
    assert main(command.split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "risco-defazagem" in line
    assert two_versions.name in line
    assert two_versions.client.get_experiment_by_name("risco-defazagem-ledger") is None


def test_promote_and_rollback_move_both_aliases(two_versions: Registry) -> None:
    """`previous` points to the former champion; a rollback swaps the two aliases."""
    promotion.promote(two_versions, "v1.0.0", "first")
    assert two_versions.aliases() == {"champion": 1}
    promotion.promote(two_versions, "v1.1.0", "better")
    assert two_versions.aliases() == {"champion": 2, "previous": 1}
    promotion.rollback(two_versions, "worse in production")
    assert two_versions.aliases() == {"champion": 1, "previous": 2}
    entries = Ledger(two_versions).entries()
    assert [(e.action, e.before, e.after, e.why) for e in entries] == [
        ("promote", "", "1", "first"),
        ("promote", "1", "2", "better"),
        ("rollback", "2", "1", "worse in production"),
    ]
    assert all(e.who for e in entries)


def test_a_rollback_asks_for_nothing_twice(
    two_versions: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promotion and rollback make no redundant request: each costs a round trip to the server.

    The registered model, which holds the aliases, is read by the reconciliation with the ledger,
    by the search for a release, and by the flip itself.
    """
    promotion.promote(two_versions, "v1.0.0", "first")
    asked: list[str] = []
    call = Client.call

    def counted(
        self: Client, work: Callable[[], Any], name: str, *more: Any, **options: Any
    ) -> Any:
        asked.append(name)
        return call(self, work, name, *more, **options)

    monkeypatch.setattr(Client, "call", counted)
    promotion.promote(two_versions, "v1.1.0", "better")
    assert asked.count("get_registered_model") == 3
    asked.clear()
    promotion.rollback(two_versions, "worse")
    assert asked.count("get_registered_model") == 2
    # Downloads: the target, and the champion's contract. Searches: the ledger before, during and
    # after the flip.
    expected = {"download_artifacts": 2, "get_experiment_by_name": 1, "search_runs": 5}
    assert {name: asked.count(name) for name in expected} == expected


def test_a_change_that_breaks_clients_is_promoted_on_purpose_only(
    two_versions: Registry, register_version: Callable[..., int]
) -> None:
    """A breaking change is refused without the flag; with it the tag that proxies read is set."""

    def narrower(contract: ModelContract) -> ModelContract:
        first, *others = contract.features
        return replace(contract, features=(replace(first, max=50.0), *others))

    promotion.promote(two_versions, "v1.0.0", "first")
    number = register_version(two_versions.name, "v2.0.0", alias=None, change=narrower)
    with pytest.raises(Refused, match=r"o máximo cai para 50.*--accept-contract-change"):
        promotion.promote(two_versions, "v2.0.0", "narrower")
    assert two_versions.aliases() == {"champion": 1}
    assert main(["promote", "--model_version", "v2.0.0", "--accept-contract-change"]) == 0
    tags = two_versions.by_release("v2.0.0").tags
    assert tags[names.TAG_CONTRACT_CHANGE] == names.CONTRACT_CHANGE_ACCEPTED
    assert two_versions.aliases() == {"champion": number, "previous": 1}
    # A wider range breaks no client, so nothing has to be accepted.
    promotion.rollback(two_versions, "worse")
    assert names.TAG_CONTRACT_CHANGE not in two_versions.by_release("v1.0.0").tags
    promotion.rollback(two_versions, "not so bad")
    assert two_versions.aliases()["champion"] == number


def test_rollback_refuses_after_a_flip_by_hand(two_versions: Registry) -> None:
    """After a flip in the UI `previous` is not the former champion, so a rollback needs --to."""
    promotion.promote(two_versions, "v1.0.0", "first")
    promotion.promote(two_versions, "v1.1.0", "second")
    two_versions.client.set_registered_model_alias(two_versions.name, names.CHAMPION, "1")
    with pytest.raises(Refused, match="--to"):
        promotion.rollback(two_versions, "again")
    last = Ledger(two_versions).entries()[-1]
    assert (last.action, last.before, last.after) == ("unrecorded", "2", "1")
    promotion.rollback(two_versions, "decided", to="v1.1.0")
    assert two_versions.aliases()["champion"] == 2


def test_half_done_flip_is_taken_back(two_versions: Registry) -> None:
    """A flip interrupted between moving `previous` and `champion` is undone, with its entry."""
    promotion.promote(two_versions, "v1.0.0", "first")
    promotion.promote(two_versions, "v1.1.0", "second")
    ledger = Ledger(two_versions)
    ledger.begin("rollback", "dies", before="2", after="1", previous="1")
    two_versions.set_alias(names.PREVIOUS, 2)
    canary.look(two_versions)
    assert two_versions.aliases() == {"champion": 2, "previous": 1}
    assert [e.why for e in ledger.entries()] == ["first", "second"]


def test_half_done_flip_is_finished(two_versions: Registry) -> None:
    """A flip interrupted after moving `champion` is completed: its entry is closed and kept."""
    promotion.promote(two_versions, "v1.0.0", "first")
    ledger = Ledger(two_versions)
    ledger.begin("promote", "dies late", before="1", after="2")
    two_versions.set_alias(names.PREVIOUS, 1)
    two_versions.set_alias(names.CHAMPION, 2)
    canary.look(two_versions)
    last = ledger.entries()[-1]
    assert (last.why, last.open) == ("dies late", False)
    assert two_versions.aliases() == {"champion": 2, "previous": 1}


def test_a_version_that_does_not_give_its_own_score_is_not_promoted(
    two_versions: Registry, register_version: Callable[..., int]
) -> None:
    """A version that does not reproduce its example's score is refused before any change."""
    from dataclasses import replace

    from core.contract.model import Example

    register_version(
        two_versions.name,
        "v1.2.0",
        alias=None,
        rows=120,
        change=lambda c: replace(c, example=Example(c.example.instance, c.example.score + 0.1)),
    )
    with pytest.raises(Refused, match="não é o modelo"):
        promotion.promote(two_versions, "v1.2.0", "broken")
    assert two_versions.aliases() == {}
    assert Ledger(two_versions).entries() == []


def test_a_version_that_failed_the_gate_needs_force(
    two_versions: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names the failed criterion; --force needs a reason and is recorded."""
    version = two_versions.by_release("v1.1.0")
    two_versions.set_tag(version, "gate", "failed")
    two_versions.set_tag(version, "gate.recall", "failed: 0.700 (>= 0.75)")
    assert main(["promote", "--model_version", "v1.1.0"]) == 1
    assert "recall 0.700 (>= 0.75)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["promote", "--model_version", "v1.1.0", "--force"])
    with pytest.raises(Refused, match="--reason"):
        promotion.promote(two_versions, "v1.1.0", " ", force=True)
    assert main(["promote", "--model_version", "v1.1.0", "--force", "--reason", "decidido"]) == 0
    last = Ledger(two_versions).entries()[-1]
    assert (last.why, last.forced) == ("decidido", "recall 0.700 (>= 0.75)")
    assert main(["history"]) == 0
    assert "promote --force" in capsys.readouterr().out


def test_threshold_is_a_tag_and_in_the_ledger(
    two_versions: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    """The threshold is stored as a tag; history shows the old and the new value."""
    command = ["threshold", "--model_version", "v1.0.0", "--value", "0.35", "--reason", "mais"]
    assert main(command) == 0
    assert two_versions.by_release("v1.0.0").tags[names.TAG_THRESHOLD] == "0.35"
    assert main(["history"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert " 0,5 " in line
    assert "0,35 (v1.0.0)" in line
    assert main(["list"]) == 0
    assert " 0,35 " in capsys.readouterr().out
    assert main([*command[:4], "1.5", *command[5:]]) == 1


def test_a_tag_that_is_no_threshold_is_listed_as_it_is(
    two_versions: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tag set in MLflow's UI that is no number is shown as text; in English 0.35 has a point."""
    monkeypatch.setenv("APP_LANGUAGE", "en")
    for release, text in (("v1.0.0", "um terço"), ("v1.1.0", "0.35")):
        two_versions.set_tag(two_versions.by_release(release), names.TAG_THRESHOLD, text)
    assert main(["list"]) == 0
    newer, older = capsys.readouterr().out.splitlines()[2:4]
    assert " 0.35 " in newer
    assert " um terço " in older


def test_list_shows_release_alias_and_threshold(
    two_versions: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    """`list` prints one line per version, newest first, with its alias."""
    promotion.promote(two_versions, "v1.0.0", "first")
    capsys.readouterr()
    assert main(["list"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows[0].startswith("v1.1.0")
    assert rows[1].startswith("v1.0.0")
    assert "champion" in rows[1]


def test_unknown_release_lists_the_known_ones(two_versions: Registry) -> None:
    """An unknown release raises UnknownVersion, which lists the known releases."""
    with pytest.raises(UnknownVersion, match=r"v1\.1\.0, v1\.0\.0"):
        two_versions.by_release("v9.9.9")


def test_next_release(two_versions: Registry) -> None:
    """The next release is the next minor by default; a taken or malformed one is refused."""
    assert next_release(two_versions) == "v1.2.0"
    assert next_release(two_versions, "v3.0.0") == "v3.0.0"
    assert next_release(open_registry("nobody-knows-it")) == "v1.0.0"
    for bad in ("v1.0.0", "1.2", "v1.2"):
        with pytest.raises(Refused):
            next_release(two_versions, bad)


def test_a_server_that_is_gone_is_one_clear_line(
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An unreachable server ends with exit code 1 and a message, not a traceback."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryUnreachable):
        open_registry().versions()
    assert main(["list"]) == 1
    assert "não responde" in capsys.readouterr().err


def test_a_local_file_is_no_tracking_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A local file as tracking URI, set by `mlflow run`, is refused with the `export` to use."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    assert main(["list"]) == 1
    assert "export MLFLOW_TRACKING_URI=http://127.0.0.1:5000" in capsys.readouterr().err


def test_diff_shows_what_differs_and_nothing_else(
    two_versions: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a threshold change `diff` lists the threshold alone; equal values are left out."""
    promotion.set_threshold(two_versions, "v1.1.0", 0.4, "for the test")
    assert main(["diff", "v1.0.0", "v1.1.0"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["limiar"]
    assert rows[0].split()[2:] == ["0,5000", "0,4000", "-0,1000"]


def test_diff_writes_parameters_as_people_do() -> None:
    """Parameters, which MLflow stores as text, are shown in Portuguese number format."""
    old = {"capacity": "0.5", "n_rows": "942", "release": "v1.0", "data_digest": "12e999"}
    new = {"capacity": "0.6", "n_rows": "2034", "release": "v1.1", "data_digest": "34e999"}
    assert _rows(old, new) == [
        ["capacity", "0,5", "0,6", "+0,1000"],
        ["n_rows", "942", "2034", "+1.092"],
        ["release", "v1.0", "v1.1", ""],
        ["data_digest", "12e999", "34e999", ""],
    ]


def test_diff_says_what_breaks_a_client(
    two_versions: Registry,
    register_version: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A renamed output is reported as a breaking change below the table."""
    from dataclasses import replace

    register_version(
        two_versions.name,
        "v2.0.0",
        alias=None,
        rows=120,
        change=lambda contract: replace(contract, score_name="chance"),
    )
    assert main(["diff", "v1.0.0", "v2.0.0"]) == 0
    assert "o score failure_score passa a se chamar chance" in capsys.readouterr().out
    assert next_release(two_versions, major=True) == "v3.0.0"


def test_two_promotions_at_once_follow_one_another(two_versions: Registry) -> None:
    """The host's lock serialises two promotions: the second is `champion`, the first `previous`."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(promotion.promote, open_registry(two_versions.name), release, "at once")
            for release in ("v1.0.0", "v1.1.0")
        ]
        assert {job.result().release for job in jobs} == {"v1.0.0", "v1.1.0"}
    first, second = Ledger(two_versions).entries()
    assert (first.before, second.before) == ("", first.after)
    aliases = {"champion": int(second.after), "previous": int(first.after)}
    assert two_versions.aliases() == aliases
