"""Shadow agreement of regressions and classifiers, compared with scikit-learn."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import confusion_matrix, mean_absolute_error, root_mean_squared_error

from core.contract.model import CLASSES, VALUE
from monitoring.pages.shadow_page import headline, render
from monitoring.performance.agreement import pair
from monitoring.performance.agreement_of_kinds import (
    ClassAgreement,
    ValueAgreement,
    agree_in_kind,
)
from monitoring.shadow_report import metrics
from tests.monitoring.performance.test_agreement import facts, rows

N = 300
RNG = np.random.default_rng(0)


def table(scores: list[float | None], labels: list[int | None]) -> pa.Table:
    """Return captured rows of one version."""
    numbered = enumerate(zip(scores, labels, strict=True))
    return rows(*((f"r{i // 5}", i % 5, i, None, s, flag) for i, (s, flag) in numbered))


def values(shift: float = 3.0) -> tuple[ValueAgreement, pa.Table, np.ndarray, np.ndarray]:
    """Return the agreement of two regressions, the paired rows, and both outputs (n,)."""
    one = RNG.normal(200, 40, N)
    other = one + shift * RNG.normal(1, 1, N)
    paired = pair(table(one.tolist(), [None] * N), table(other.tolist(), [None] * N), VALUE)
    found = agree_in_kind(paired, VALUE)
    assert isinstance(found, ValueAgreement)
    return found, paired, one, other


def test_numbers_lie_as_far_apart_as_scikit_learn_says() -> None:
    """MAE, RMSE, bias and rank correlation are those of scikit-learn; the page has no flags."""
    found, paired, one, other = values()
    assert (found.n_instances, found.n_entities) == (N, N)
    assert found.mae == pytest.approx(mean_absolute_error(one, other))
    assert found.rmse == pytest.approx(root_mean_squared_error(one, other))
    assert found.shift.value == pytest.approx((other - one).mean())
    assert found.rank_correlation == pytest.approx(spearmanr(one, other).statistic)
    page = render(found, paired, facts())
    assert "sinaliza" not in page + headline(found, facts())
    assert "Saída" in page and "<svg" in page
    assert metrics(found)["bias"] == found.shift.value


def test_the_same_numbers_twice_differ_by_exactly_nothing() -> None:
    """Equal outputs have MAE, RMSE and bias 0, and rank correlation 1."""
    found, *_ = values(0.0)
    assert (found.mae, found.rmse, found.shift.value, found.shift_quantiles) == (0, 0, 0, (0,) * 3)
    assert found.rank_correlation == pytest.approx(1)


@pytest.mark.parametrize("kinds", [3, 20])
def test_classes_are_paired_by_name(kinds: int) -> None:
    """Classes are matched by name if the shadow has another order and one more class."""
    names = [f"k{place:02d}" for place in range(kinds)]
    theirs = [*reversed(names), "new"]
    one = RNG.integers(0, kinds, N)
    other = np.where(RNG.random(N) < 0.8, kinds - 1 - one, RNG.integers(0, kinds + 1, N))
    nothing = [None] * N
    paired = pair(table(nothing, one.tolist()), table(nothing, other.tolist()), CLASSES)
    found = agree_in_kind(paired, CLASSES, names, theirs)
    assert isinstance(found, ClassAgreement)
    said = np.array(names)[one], np.array(theirs)[other]
    assert found.classes == (*names, "new")
    truth = confusion_matrix(*said, labels=list(found.classes))
    assert np.array_equal(np.array(found.confusion), truth)
    assert found.share_differ.value == pytest.approx((said[0] != said[1]).mean())
    most = found.disagreements(1)[0][2]
    assert most == (truth - np.diag(np.diag(truth))).max()
    page = render(found, paired, facts())
    assert "sinaliza" not in page + headline(found, facts())
    assert "k00" in page and "<svg" not in page
    assert metrics(found)["share_differ"] == found.share_differ.value


def test_the_same_classes_twice_agree_wholly() -> None:
    """Equal classes have no disagreements."""
    one = RNG.integers(0, 3, N).tolist()
    paired = pair(table([None] * N, one), table([None] * N, one), CLASSES)
    found = agree_in_kind(paired, CLASSES, "abc", "abc")
    assert isinstance(found, ClassAgreement)
    assert (found.share_differ.value, found.disagreements(5)) == (0, [])


@pytest.mark.parametrize("kind", [VALUE, CLASSES])
def test_nothing_in_common_is_said_of_every_kind(kind: str) -> None:
    """For both kinds, without common rows the page names `SHADOW_ALIAS`."""
    nothing = rows().slice(0, 0)
    paired = pair(nothing, nothing, kind)
    found = agree_in_kind(paired, kind, "ab", "ab")
    assert found.n_entities == 0
    assert "SHADOW_ALIAS" in render(found, paired, facts())
