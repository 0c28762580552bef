"""Contracts derived from an MLflow signature, and the contract's optional `outputs`."""

from typing import Any

import pytest

from core.contract.derived import contract_of_version, output_names
from core.contract.model import ContractError, Feature, ModelContract


def column(kind: str, name: str | None, **more: Any) -> dict[str, Any]:
    """Return a column as MLflow's schema writes it."""
    return {"type": kind, "required": True, **({"name": name} if name else {}), **more}


def tensor(dtype: str, *shape: int) -> dict[str, Any]:
    """Return a tensor as MLflow's schema writes it."""
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}


def test_types_names_and_required_are_taken_over() -> None:
    """Features have no range and no unit, and are nullable only where the column is optional."""
    inputs = [column("float", "a b"), column("integer", "n", required=False)]
    contract = contract_of_version(7, None, {}, inputs, [tensor("float64", -1)])
    assert contract.features == (
        Feature("a b", "double", nullable=False),
        Feature("n", "long", nullable=True),
    )
    assert (contract.release, contract.outputs) == ("v0.0.7", ("prediction",))


@pytest.mark.parametrize(
    ("tagged", "release"), [("v1.2.3", "v1.2.3"), ("newest", "v0.0.7"), ("", "v0.0.7")]
)
def test_only_a_release_names_a_release(tagged: str, release: str) -> None:
    """A tag of another form is ignored; the version number then gives the release."""
    assert contract_of_version(7, tagged, {}, [column("long", "n")], None).release == release


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (None, ("prediction",)),
        ([], ("prediction",)),
        ([column("long", "target")], ("target",)),
        ([column("long", "a"), column("string", "b")], ("a", "b")),
        ([column("long", None)], ("prediction",)),
        ([tensor("float64", -1, 3)], ("prediction",)),
    ],
)
def test_outputs_bear_the_schemas_names(outputs: Any, names: tuple[str, ...]) -> None:
    """Without names there is one output, `prediction`."""
    assert output_names(outputs) == names


def test_a_matrix_has_numbered_columns() -> None:
    """A tensor of known width becomes that many features with numbered names."""
    contract = contract_of_version(1, None, {}, [tensor("float64", -1, 3)], None)
    assert contract.feature_names == ("x0", "x1", "x2")


def test_any_name_is_a_features() -> None:
    """Integer, missing, empty and reserved column names are valid names of features."""
    names = (0, "", "score", "1st", "😀", "x" * 300)
    inputs = [{**column("double", None), "name": name} for name in names]
    contract = contract_of_version(1, None, {}, inputs, None)
    assert contract.feature_names == ("0", "", "score", "1st", "😀", "x" * 300)
    unnamed = contract_of_version(1, None, {}, [column("double", None)] * 3, None)
    assert unnamed.feature_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "inputs",
    [
        [column("binary", "blob")],
        [column("double", "\x1b[2J")],
        [tensor("float64", -1, 28, 28)],
        [tensor("float64", -1, -1)],
        [tensor("str", -1, 2)],
        [],
    ],
)
def test_what_no_flat_row_holds_is_refused(inputs: Any) -> None:
    """Binary columns, nested tensors and names with control characters raise ContractError."""
    with pytest.raises(ContractError):
        contract_of_version(1, None, {}, inputs, None)


def test_outputs_survive_the_registry_and_leave_other_contracts_as_they_were() -> None:
    """`outputs` round-trips; contracts without it keep their serialised form and digest."""
    scored = ModelContract("v1.0.0", (Feature("a"),), "t", 0.5)
    assert "outputs" not in scored.to_dict()
    assert scored.digest() == "b44dc5f2574283c6"
    plain = ModelContract("v1.0.0", (Feature("a"),), "t", 0.5, outputs=("x", "y"))
    assert ModelContract.from_dict(plain.to_dict()) == plain
    assert plain.digest() != scored.digest()
    with pytest.raises(ContractError, match="duas vezes"):
        ModelContract("v1.0.0", (Feature("a"),), "t", 0.5, outputs=("x", "x"))
