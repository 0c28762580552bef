"""Decoding of a request's body into rows in the contract's order.

Two paths give the same result. The fast one decodes into a type generated from the contract, and
accepts every request that follows the contract exactly. Any other body is parsed again, slowly, by
`serving.protocol.validation`, which alone accepts year suffixes and alone reports problems.

The decoder keeps the last of duplicate keys. Each key has a colon, so a body with as many colons as
decoded fields has no duplicate; with more colons, texts contain some, or a key is duplicated, and
the body is parsed again.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from core.contract.model import Feature, ModelContract
from core.contract.types import FEATURE_TYPES, LONG_RANGE
from serving.protocol.instances import Instances
from serving.protocol.validation import Validator, decode
from serving.protocol.values import YEARS

_SPLIT_KEYS = 3  # dataframe_split, columns, data
LONG_MIN, LONG_MAX = LONG_RANGE[0], LONG_RANGE[-1]


class InstanceReader:
    """Decoder of request bodies for one contract."""

    def __init__(
        self, contract: ModelContract, max_instances: int, max_frame: int | None = None
    ) -> None:
        """Make the decoders of `/predict`, and of MLflow's frames, which may have more rows."""
        self._validator = Validator(contract, max_instances)
        self._dated = contract.period_field is not None
        self._decoder: msgspec.json.Decoder[Any] | None = None
        try:
            instance: Any = _instance_type(contract)
        except ValueError:
            # A name that JSON has to escape, or a datetime: only the validator reads those.
            return
        bounds = Meta(min_length=1, max_length=max_instances)
        several = Annotated[list[instance], bounds]
        fields: list[Any] = [("instances", several)]
        if not contract.outputs:
            fields.append(("explain", bool | UnsetType, UNSET))
        body: Any = msgspec.defstruct("Body", fields, forbid_unknown_fields=True)
        self._decoder = msgspec.json.Decoder(body)
        bounds = Meta(min_length=1, max_length=max_frame or max_instances)
        records: Any = Annotated[list[instance], bounds]
        self._frames = msgspec.json.Decoder(_frame_type(contract, records, bounds))
        self._names = list(contract.feature_names)

    def read(self, body: bytes) -> Instances:
        """Decode and check one body.

        Raises:
            MalformedBody: it is not JSON.
            DuplicateKey: an object of it has a key twice.
            InvalidInstances: it does not fit the contract; lists every problem.
        """
        if self._decoder is None:
            return self._validator.read(body)
        try:
            decoded = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._validator.read(body)
        explain = getattr(decoded, "explain", UNSET)
        found = self._of(decoded.instances, body, 1 + (explain is not UNSET))
        if found is None:
            return self._validator.read(body)
        return replace(found, explain=True) if explain is True else found

    def read_frame(self, body: bytes) -> Instances | None:
        """Decode a body in MLflow's format that follows the contract exactly; None for any other.

        That is `dataframe_split` with the features' columns in their order, or `dataframe_records`.
        Any other body, valid or not, is read by `serving.protocol.mlflow_input`.

        Raises:
            DuplicateKey: an object of the body has a key twice.
        """
        if self._decoder is None:
            return None
        try:
            decoded = self._frames.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        split, records = decoded.dataframe_split, decoded.dataframe_records
        if (split is None) == (records is None):
            return None
        if records is not None:
            return self._of(records, body, 1)
        if split.columns != self._names or body.count(b":") != _SPLIT_KEYS:
            return None
        nobody: list[None] = [None] * len(split.data)
        return Instances(split.data, nobody, periods=nobody if self._dated else None)

    def _of(self, decoded: Sequence[msgspec.Struct], body: bytes, keys: int) -> Instances | None:
        """Return decoded instances, None where an entity is blank; the body has `keys` more keys.

        Raises:
            DuplicateKey: an object of the body has a key twice.
        """
        rows: list[list[Any]] = []
        entities: list[str | None] = []
        periods: list[int | None] = []
        for instance in decoded:
            # The contract's period field, if any, follows the features.
            *row, entity = msgspec.structs.astuple(instance)
            if self._dated:
                period = row.pop()
                keys += period is not UNSET
                periods.append(None if period is UNSET else period)
            keys += len(row)
            if absent := row.count(UNSET):
                keys -= absent
                row = [None if value is UNSET else value for value in row]
            if entity is UNSET:
                entity = None
            else:
                keys += 1
                if entity is not None and not (entity := str(entity).strip()):
                    return None
            rows.append(row)
            entities.append(entity)
        if body.count(b":") != keys:
            decode(body)
        return Instances(rows, entities, periods=periods if self._dated else None)


def _frame_type(contract: ModelContract, several: Any, bounds: Meta) -> Any:
    """Return the struct type of MLflow's two frame formats, rows by name or by position."""
    row: Any = tuple[tuple(map(_value_type, contract.features))]  # type: ignore[misc]
    data = Annotated[list[row], bounds]
    split: Any = msgspec.defstruct(
        "Split", [("columns", list[str]), ("data", data)], forbid_unknown_fields=True
    )
    fields = [("dataframe_split", split | None, None), ("dataframe_records", several | None, None)]
    return msgspec.defstruct("Frame", fields, forbid_unknown_fields=True)


def _instance_type(contract: ModelContract) -> type[msgspec.Struct]:
    """Return a struct type: a field per feature in order, the period if any, the entity last."""
    fields: list[Any] = []
    # Column names are arbitrary text, so the struct's fields have generated identifiers.
    sent = {f"f{place}": feature.name for place, feature in enumerate(contract.features)}
    for field, feature in zip(sent, contract.features, strict=True):
        kind = _value_type(feature)
        optional = feature.nullable and not feature.required
        fields.append((field, kind | UnsetType, UNSET) if optional else (field, kind))
    if contract.period_field:
        year = Annotated[int, Meta(ge=YEARS[0], le=YEARS[-1])]
        fields.append(("period_", year | None | UnsetType, UNSET))
    # Without an entity the field gets a name that no feature has, and stays absent.
    nothing = "$" * (1 + max(len(feature.name) for feature in contract.features))
    entity = str | Annotated[int, Meta(ge=LONG_MIN, le=LONG_MAX)]
    fields.append(("entity_", entity | None | UnsetType, UNSET))
    return msgspec.defstruct(
        "Instance",
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
        rename={
            **sent,
            "entity_": contract.entity or nothing,
            "period_": contract.period_field or nothing,
        },
    )


def _value_type(feature: Feature) -> Any:
    """Return a msgspec type at most as wide as the feature; raises ValueError for a datetime."""
    if feature.type == "datetime":
        raise ValueError  # the decoder supports neither a date without a time nor a range
    kind: Any = FEATURE_TYPES[feature.type].python
    if kind is str and feature.values:
        kind = Literal[feature.values]
    elif feature.type == "long":
        low = LONG_MIN if feature.min is None else math.ceil(feature.min)
        high = LONG_MAX if feature.max is None else math.floor(feature.max)
        kind = Annotated[kind, Meta(ge=low, le=high)]
    elif feature.type == "double":
        kind = Annotated[kind, Meta(ge=feature.min, le=feature.max)]
    return kind | None if feature.nullable else kind
