"""`"explain": true`: feature effects relative to the contract's example."""

from typing import Any

import pytest

ROW = {"temperature": 31.5, "pressure": 1003.25, "wear": 4}
EXAMPLE = {"temperature": 21.5, "pressure": None, "wear": 2.0}


def asked(proxy: Any, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the predictions for rows, with explanations."""
    answer = proxy.http.post("/predict", json={"instances": rows, "explain": True})
    assert answer.status_code == 200
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


def test_an_effect_is_the_change_of_the_score_it_claims(proxy: Any) -> None:
    """An effect equals the score's change when that feature alone is set to its reference."""
    (prediction,) = asked(proxy, ROW)
    effects = prediction["explanation"]
    assert [e["feature"] for e in effects] == sorted(
        (e["feature"] for e in effects),
        key=lambda name: -abs(next(e["effect"] for e in effects if e["feature"] == name)),
    )
    assert {e["feature"] for e in effects} >= {"temperature", "wear"}
    for effect in effects:
        name = effect["feature"]
        assert effect["reference"] == EXAMPLE[name]
        changed = proxy.predict({**ROW, name: EXAMPLE[name]}).json()["predictions"][0]
        expected = prediction["failure_score"] - changed["failure_score"]
        assert effect["effect"] == pytest.approx(expected, abs=1e-12)
    assert next(e for e in effects if e["feature"] == "temperature")["description"] == "Bearing"


def test_an_instance_like_the_reference_has_nothing_to_explain(proxy: Any) -> None:
    """An instance equal to the reference has no effects; another has only its own."""
    same, other = asked(proxy, EXAMPLE, {**EXAMPLE, "wear": 5})
    assert same["explanation"] == []
    assert [e["feature"] for e in other["explanation"]] == ["wear"]
    assert other["explanation"][0]["effect"] > 0


def test_explaining_changes_no_score_and_captures_nothing_more(proxy: Any) -> None:
    """An explained request has the same score, and only its own instance is captured."""
    before = proxy.health()["capture"]["captured"]
    (explained,) = asked(proxy, ROW)
    assert proxy.health()["capture"]["captured"] == before + 1
    plain = proxy.predict(ROW).json()["predictions"][0]
    assert "explanation" not in plain
    assert explained["failure_score"] == pytest.approx(plain["failure_score"], abs=1e-12)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_explain_is_true_or_false(proxy: Any, value: Any) -> None:
    """An `explain` other than true or false is refused with 422 and the field's name."""
    answer = proxy.http.post("/predict", json={"instances": [ROW], "explain": value})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == "explain"
    off = proxy.http.post("/predict", json={"instances": [ROW], "explain": False})
    assert "explanation" not in off.json()["predictions"][0]
