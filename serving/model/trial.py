"""Trial of a version before its swap: rows that it has to score, one by one and as a batch.

The rows are those of MLflow's input example, else generated from the signature and the categories
that the model's encoders were fitted on. A version that fails is refused, not each later request.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.contract.model import Feature
from core.messages import _
from serving.errors import RequestError
from serving.model import probes
from serving.model.flavours import UnfitError
from serving.model.scoring import Scorer
from serving.model.shortcut import seen_values
from serving.protocol.mlflow_input import JSON, read_sent
from serving.protocol.validation import Validator

ROWS = 16
"""Most rows of a trial."""

EXAMPLE = "serving_input_example.json"
"""MLflow's file with an example request."""


def try_version(
    scorer: Scorer, method: Any, features: Sequence[Feature], validator: Validator, folder: Path
) -> None:
    """Score rows that the model has to accept: the input example in `folder`, or generated ones.

    Raises:
        UnfitError: no row is scored, several rows at once fail, or the output is not plain JSON.
    """
    example = _example_rows(folder, features, validator)
    estimator = getattr(method, "__self__", None)
    known = {} if example else seen_values(estimator, range(len(features)))
    rows = example or probes.usual(features, known)
    answered, failure = [], None
    for row in rows[:ROWS]:
        try:
            _check(scorer, [row])
        except RequestError as exc:
            failure = exc
        else:
            answered.append(row)
    if answered:
        try:
            _check(scorer, answered)
        except RequestError as exc:
            raise UnfitError(_("several rows at once are not answered: {why}", why=exc)) from exc
    elif failure is not None and (example or _representative(features, known)):
        raise UnfitError(_("it answers none of the rows it was tried with: {why}", why=failure))


def _check(scorer: Scorer, rows: Sequence[Sequence[Any]]) -> None:
    """Score rows, and check that the output is plain JSON.

    Raises:
        RequestError: the model fails on them.
        UnfitError: the output is not plain JSON.
    """
    output = scorer.output(rows)
    scorer.scores(output)
    values = output.tolist() if hasattr(output, "tolist") else output
    for value in values:
        if not _is_json(value):
            kind = type(value).__name__
            raise UnfitError(_("its output cannot be answered as JSON ({kind})", kind=kind))


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_json(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, bool | int | float | str)


def _example_rows(
    folder: Path, features: Sequence[Feature], validator: Validator
) -> Sequence[Sequence[Any]]:
    """Return the rows of MLflow's input example; empty without one that can be read."""
    try:
        sent = read_sent((folder / EXAMPLE).read_bytes(), JSON, features, ROWS, 0)
        return validator.read_instances(list(sent.instances[:ROWS])).rows
    except (OSError, RequestError):
        return []


def _representative(features: Sequence[Feature], known: probes.Known) -> bool:
    """Return whether the model must score generated rows: none of their texts is invented."""
    return all(
        feature.type != "string" or bool(feature.values or known.get(place))
        for place, feature in enumerate(features)
    )
