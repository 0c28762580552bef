"""Contract changes that break clients, and changes that do not."""

from dataclasses import replace

import pytest

from core.contract.compatibility import incompatible_changes
from core.contract.model import Feature, ModelContract

A = Feature("a", unit="m", min=0, max=10)
B = Feature("b", type="string", values=("x", "y"))
OLD = ModelContract("v1.0.0", (A, B), "target", 0.5, entity="id")


def changed(**fields: object) -> Feature:
    """Return feature a with some fields changed."""
    return replace(A, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        replace(OLD, release="v2.0.0", threshold=0.1),
        replace(OLD, features=(B, A)),
        replace(OLD, features=(A, B, Feature("c"))),
        replace(OLD, features=(changed(min=-1, max=11, description="text"), B)),
        replace(OLD, features=(changed(min=None, max=None), B)),
        replace(OLD, features=(A, replace(B, values=("x", "y", "z")))),
        replace(OLD, features=(A, replace(B, values=()))),
    ],
)
def test_what_breaks_nobody(new: ModelContract) -> None:
    """Wider ranges, added features or values, another order or description are compatible."""
    assert incompatible_changes(OLD, new) == []


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (replace(OLD, features=(A,)), "b deixa de ser aceita"),
        (replace(OLD, features=(A, B, Feature("c", nullable=False))), "c é nova e obrigatória"),
        (replace(OLD, features=(changed(type="long"), B)), "a era double, passa a ser long"),
        (replace(OLD, features=(changed(unit="cm"), B)), "a era em m, passa a cm"),
        (replace(OLD, features=(changed(nullable=False), B)), "a não pode mais ser nula"),
        (replace(OLD, features=(changed(min=1), B)), "a: o mínimo sobe para 1"),
        (replace(OLD, features=(changed(max=9), B)), "a: o máximo cai para 9"),
        (replace(OLD, features=(A, replace(B, values=("x",)))), "b: perde categorias"),
        (replace(OLD, entity=None), "id deixa de identificar a pessoa"),
        (replace(OLD, score_name="s"), "o score score passa a se chamar s"),
        (replace(OLD, label_name="l"), "o label label passa a se chamar l"),
        (replace(OLD, outputs=("y",)), "as saídas [] passam a ser ['y']"),
        (replace(OLD, target="other"), "o alvo é outro"),
    ],
)
def test_what_breaks_a_client(new: ModelContract, said: str) -> None:
    """Each incompatible change is reported as one sentence."""
    assert incompatible_changes(OLD, new) == [said]
