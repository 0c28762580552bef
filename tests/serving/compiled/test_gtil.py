"""Trees by Treelite's GTIL: one configuration for all calls, public function as a fallback."""

from collections.abc import Callable

import numpy as np
import pytest
import treelite
from sklearn.ensemble import HistGradientBoostingClassifier
from treelite.gtil import gtil

from serving.compiled.arrays import ArrayMethod
from serving.compiled.gtil import _configuration, margins_of

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 4))


@pytest.fixture
def compiled() -> tuple[HistGradientBoostingClassifier, Callable[[], ArrayMethod]]:
    """Return a fitted model, and a function that compiles its margins."""
    model = HistGradientBoostingClassifier(max_iter=20).fit(ROWS, ROWS[:, 0] + ROWS[:, 1] > 0)
    trees = treelite.sklearn.import_model(model)
    return model, lambda: margins_of(trees, single=False, nullable=True)


def test_a_call_makes_no_configuration(
    compiled: tuple[HistGradientBoostingClassifier, Callable[[], ArrayMethod]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fifty calls serialize one configuration, which costs as much as scoring a row."""
    model, compile_margins = compiled
    made: list[str] = []
    before = gtil.GTILConfig.to_json
    monkeypatch.setattr(
        gtil.GTILConfig, "to_json", lambda self: made.append(self.predict_type) or before(self)
    )
    _configuration.cache_clear()
    margins = compile_margins()
    found = [margins(ROWS[start : start + 1])[0] for start in range(50)]
    assert made == ["score_per_tree"]
    np.testing.assert_array_equal(found, model.decision_function(ROWS[:50]))


def test_another_release_of_treelite_is_asked_by_its_public_function(
    compiled: tuple[HistGradientBoostingClassifier, Callable[[], ArrayMethod]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the private `_predict_impl`, the public `predict_per_tree` gives the same margins."""
    model, compile_margins = compiled
    predict = gtil._predict_impl
    monkeypatch.setattr(
        gtil,
        "predict_per_tree",
        lambda model, data, *, nthread: predict(
            model, data, config=gtil.GTILConfig(nthread=nthread, predict_type="score_per_tree")
        ),
    )
    monkeypatch.delattr(gtil, "_predict_impl")
    found = compile_margins()(ROWS)
    np.testing.assert_array_equal(found, model.decision_function(ROWS))
