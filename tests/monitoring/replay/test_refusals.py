"""Contract validation of captured columns, compared with the proxy's validation."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.contract.model import Feature, ModelContract
from core.messages import _
from monitoring.replay.refusals import fitted, problems, told
from serving.errors import InvalidInstances
from serving.protocol.validation import Validator

CONTRACT = ModelContract(
    release="v1.0.0",
    features=(
        Feature("age", "long", min=4, max=40, nullable=False),
        Feature("mark", "double", min=0, max=10.1),
        Feature("school", "string", values=("A", "B")),
        Feature("new", "boolean"),
        Feature("sent", "double", required=True, nullable=False),
    ),
    target="risk",
    threshold=0.5,
)


def draw(rows: int) -> pa.RecordBatch:
    """Draw rows of which many violate the contract."""
    rng = np.random.default_rng(4)

    def pick(*values: Any) -> list[Any]:
        return [values[at] for at in rng.integers(0, len(values), rows)]

    return pa.RecordBatch.from_pydict(
        {
            "age": pa.array(pick(4.0, 40.0, 12.0, 12.5, 41.0, None), pa.float64()),
            "mark": pa.array(pick(0.0, 10.1, 5.0, 5.0, 10.2, -1.0, None), pa.float64()),
            "school": pa.array(pick("A", "B", "A", "C", None), pa.string()),
            "new": pa.array(pick(True, False, None), pa.bool_()),
            "sent": pa.array(pick(1.0, 2.0, 3.0, None), pa.float64()),
            "other": pa.array(pick(None, None, None, 1.0), pa.float64()),
        }
    )


def test_the_verdict_is_the_proxys() -> None:
    """Each row has the same fields and problems as in the proxy's validation."""
    batch = draw(600)
    names = batch.schema.names
    texts = told(list(problems(batch, names, CONTRACT)), batch.num_rows).to_pylist()
    validator, refused = Validator(CONTRACT, 1), 0
    for row, text in zip(batch.to_pylist(), texts, strict=True):
        # A field that was not sent is null in the store.
        given = {k: v for k, v in row.items() if v is not None or k != "other"}
        try:
            validator.read_instances([given])
            expected = set()
        except InvalidInstances as exc:
            expected = {f"{d['field']}: {d['problem']}" for d in exc.details}
            refused += 1
        assert set(text.split("; ") if text else ()) == expected
    assert 100 < refused < 600


def test_a_column_of_another_type_or_none_at_all() -> None:
    """Text in a numeric field is refused where not null, and a required field if absent."""
    batch = pa.RecordBatch.from_pydict(
        {"age": ["x", None], "mark": pa.nulls(2, pa.float64()), "sent": [True, None]}
    )
    found = {(f, p): m.tolist() for f, p, m in problems(batch, batch.schema.names, CONTRACT)}
    assert found[("age", "wrong type")] == found[("sent", "wrong type")] == [True, False]
    assert found[("age", "null")] == [False, True]
    alone = pa.RecordBatch.from_pydict({"age": [5]})
    assert [f for f, _p, _m in problems(alone, ["age"], CONTRACT)] == ["sent"]
    assert _("missing") in told(list(problems(alone, ["age"], CONTRACT)), 1)[0].as_py()


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_rows_come_in_the_contracts_types(kind: pa.DataType) -> None:
    """Columns are cast between integers and doubles as in the contract; absent ones are null."""
    batch = pa.RecordBatch.from_pydict({"mark": pa.array([1, 2], kind), "age": [5.0, 6.0]})
    table = fitted(batch, ["mark", "age"], CONTRACT)
    assert table.schema.types[:2] == [pa.int64(), pa.float64()]
    assert table["age"].to_pylist() == [5, 6]
    assert table["school"].null_count == 2
    assert math.isclose(table["mark"][1].as_py(), 2.0)
