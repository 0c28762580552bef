"""A version is tried before it is swapped in: rows that it has to answer, one by one and together.

The rows are those of MLflow's input example, else made from the signature and from the categories
that the model's encoders know. What cannot be answered refuses the version, not each request later.
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
"""Most rows that are tried."""

EXAMPLE = "serving_input_example.json"
"""MLflow's own file of a request that the model answers."""


def try_version(
    scorer: Scorer, method: Any, features: Sequence[Feature], validator: Validator, folder: Path
) -> None:
    """Score rows that the model has to answer: the input example in `folder`, read as a request.

    Raises:
        UnfitError: no row is answered, or the answer is none that can be sent.
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
    """Score rows; an output has to be plain JSON.

    Raises:
        RequestError: the model fails on them.
        UnfitError: the output cannot be sent.
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
    """Return the rows of MLflow's input example; none where there is none that can be read."""
    try:
        sent = read_sent((folder / EXAMPLE).read_bytes(), JSON, features, ROWS, 0)
        return validator.read_instances(list(sent.instances[:ROWS])).rows
    except (OSError, RequestError):
        return []


def _representative(features: Sequence[Feature], known: probes.Known) -> bool:
    """Tell whether made rows are such as the model must answer: no text has been made up."""
    return all(
        feature.type != "string" or bool(feature.values or known.get(place))
        for place, feature in enumerate(features)
    )
