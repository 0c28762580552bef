"""The contract that a model version states: features, outputs, threshold, and a test example.

A `ModelContract` is logged in the version's MLflow metadata, which is immutable, so a version keeps
its contract whichever alias points to it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from core.contract.columns import RESERVED_COLUMNS, column_of
from core.contract.kinds import CONTRACT_KINDS, EXAMPLE_KINDS, FEATURE_KINDS, wrong_kind
from core.contract.types import FEATURE_TYPES, FeatureType
from core.errors import ProjectError
from core.messages import N_, _

_NAME = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]*")
"""Text without control characters and surrogates; tabs and line breaks occur in spreadsheets."""
_TAKEN = RESERVED_COLUMNS | {"explanation"}
"""Names reserved from score and label: columns of the store, fields of a response."""
VALUE, CLASSES = "value", "classes"
OUTPUT_KINDS = ("", VALUE, CLASSES)
RELEASE = re.compile(r"v\d+\.\d+\.\d+", re.ASCII)


class ContractError(ProjectError, ValueError):
    """A contract that cannot be served as written."""

    code = "contract_invalid"


@dataclass(frozen=True, slots=True)
class Feature:
    """One input column: MLflow type, unit, inclusive range, and whether it is nullable.

    `values` lists the categories of a string feature; empty means any. A `required` feature must be
    sent even where it is nullable; one that is not nullable must always be sent.
    """

    name: str
    type: FeatureType = "double"
    unit: str = ""
    min: float | None = None
    max: float | None = None
    nullable: bool = True
    description: str = ""
    values: tuple[str, ...] = ()
    required: bool = False

    def __post_init__(self) -> None:
        """Validate name, type and range.

        Raises:
            ContractError: a name with control characters, an unknown type, or an empty range.
        """
        if not _NAME.fullmatch(self.name):
            message = N_("feature name {name!r} is not a usable column name")
            raise ContractError(message, name=self.name)
        if self.type not in FEATURE_TYPES:
            message = N_("feature {name!r}: type {type!r} is not one of {known}")
            known = ", ".join(FEATURE_TYPES)
            raise ContractError(message, name=self.name, type=self.type, known=known)
        if self.min is not None and self.max is not None and self.min > self.max:
            message = N_("feature {name!r}: min {low} exceeds max {high}")
            raise ContractError(message, name=self.name, low=self.min, high=self.max)
        object.__setattr__(self, "values", tuple(self.values))

    @property
    def column(self) -> str:
        """Return the column of the inference store that stores this feature."""
        return column_of(self.name)

    @property
    def called(self) -> str:
        """Return the display name: the description and the name, or the name alone."""
        return f"{self.description} ({self.name})" if self.description else self.name


@dataclass(frozen=True, slots=True)
class Example:
    """A synthetic instance (never a person's row) and the score this version must return for it."""

    instance: Mapping[str, Any]
    score: float


@dataclass(frozen=True, slots=True)
class ModelContract:
    """Everything that a proxy or a job needs of a version besides its weights.

    Attributes:
        release: the operator's name of the version, `v<major>.<minor>.<patch>`.
        features: inputs in the order the pipeline takes them.
        target: what the score predicts.
        threshold: score at or above which the label is 1, in [0, 1].
        threshold_policy: how the threshold was chosen, for documentation.
        score_name, label_name: names of the two outputs in a response.
        positive_class: index of the score in the model's output row.
        entity: request field that identifies a person; never a feature, never stored in clear text.
        entity_prefix: prefix of a numbered entity: with `RA`, the spellings `RA 12`, `ra-012` and
            `12` are one person; None: only case and surrounding space are normalised.
        example: a check that the loaded model is the one that was logged; None skips it.
        outputs: names of the outputs of a model without score and label, whose outputs are
            returned unchanged and compared with no threshold. Empty for a model with a score.
        output_kind: kind of the named outputs: `value`, a predicted number, or `classes`, one of
            several classes or the probability of each; empty where it is unknown.
        horizon: years from a row's period to the target's year; None: not stated.
        period_field: request field that states a row's period, its year; never a feature.
        year_suffixes: whether a field may be sent as `<feature>_<year>`; the year is the period.
    """

    release: str
    features: tuple[Feature, ...]
    target: str
    threshold: float
    threshold_policy: Mapping[str, Any] = field(default_factory=dict)
    score_name: str = "score"
    label_name: str = "label"
    positive_class: int = 1
    entity: str | None = None
    example: Example | None = None
    outputs: tuple[str, ...] = ()
    output_kind: str = ""
    horizon: int | None = None
    period_field: str | None = None
    year_suffixes: bool = False
    entity_prefix: str | None = None

    def __post_init__(self) -> None:
        """Validate the contract.

        Raises:
            ContractError: bad release, no or repeated features, threshold outside [0, 1], clashing
                names, or an example that does not fit the features.
        """
        object.__setattr__(self, "features", tuple(self.features))
        object.__setattr__(self, "outputs", tuple(self.outputs))
        if not RELEASE.fullmatch(self.release):
            message = N_("release {release!r} is not of the form v1.2.3")
            raise ContractError(message, release=self.release)
        if not 0.0 <= self.threshold <= 1.0:
            message = N_("threshold {threshold} lies outside [0, 1]")
            raise ContractError(message, threshold=self.threshold)
        if self.output_kind not in (OUTPUT_KINDS if self.outputs else ("",)):
            message = N_("output_kind {kind!r} is none of {known}, or there is a score")
            known = ", ".join(OUTPUT_KINDS[1:])
            raise ContractError(message, kind=self.output_kind, known=known)
        if self.horizon is not None and self.horizon < 0:
            raise ContractError(N_("horizon {horizon} lies in the past"), horizon=self.horizon)
        self._check_names()

    def _check_names(self) -> None:
        names = self.feature_names
        if not names:
            raise ContractError(N_("a contract needs at least one feature"))
        if len(set(names)) != len(names):
            raise ContractError(N_("a feature is listed twice"))
        if len(set(self.outputs)) != len(self.outputs):
            raise ContractError(N_("an output is listed twice"))
        if self.score_name == self.label_name:
            message = N_("score and label are both called {name!r}")
            raise ContractError(message, name=self.score_name)
        for name, own in ((self.score_name, "score"), (self.label_name, "label")):
            if name in _TAKEN - {own}:
                text = N_(
                    "{own} is called {name!r}, which means something else in an answer or row"
                )
                raise ContractError(text, own=own, name=name)
        if self.entity in names:
            raise ContractError(N_("{name!r} is both the entity and a feature"), name=self.entity)
        if self.period_field in names:
            message = N_("{name!r} is both the period and a feature")
            raise ContractError(message, name=self.period_field)
        if self.example is not None and set(self.example.instance) != set(names):
            raise ContractError(N_("the example's fields are not the contract's features"))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the feature names in pipeline order."""
        return tuple(feature.name for feature in self.features)

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """Return the columns of the inference store for the features, in the same order."""
        return tuple(feature.column for feature in self.features)

    @property
    def called(self) -> dict[str, str]:
        """Return the display name of each feature, by feature name."""
        return {feature.name: feature.called for feature in self.features}

    def digest(self) -> str:
        """Return a digest of the request and response schema, 16 hexadecimal digits.

        Release, threshold and example are excluded: retrained versions of one schema share it.
        """
        schema: dict[str, Any] = {
            "features": [_of_feature(asdict(feature)) for feature in self.features],
            "target": self.target,
            "outputs": [self.score_name, self.label_name, self.positive_class],
            "entity": self.entity,
        }
        if self.outputs:
            schema["outputs"] = list(self.outputs)
        if self.period_field:
            schema["period_field"] = self.period_field
        text = json.dumps(schema, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for MLflow metadata and JSON; `from_dict` reads it back."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        data["features"] = [_of_feature(feature) for feature in data["features"]]
        for name in ("outputs", "output_kind", "horizon", "period_field", "entity_prefix"):
            # Releases older than these fields reject unknown keys.
            if data[name] in (None, [], ""):
                del data[name]
        if self.year_suffixes:
            del data["year_suffixes"]  # true is implied by its absence
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ModelContract":
        """Parse the output of `to_dict`; unknown keys of later releases are rejected, not ignored.

        Raises:
            ContractError: a key is missing, unknown or of the wrong kind.
        """
        try:
            _check_fields(data, cls, CONTRACT_KINDS)
            for number, feature in enumerate(data["features"], start=1):
                named = isinstance(feature, Mapping) and "name" in feature
                where = repr(feature["name"]) if named else f"features[{number}]"
                _check_fields(feature, Feature, FEATURE_KINDS, where)
            example = data.get("example")
            if example is not None:
                _check_fields(example, Example, EXAMPLE_KINDS, "example")
            # Contracts that were stated before the field existed all accept year suffixes.
            stated: dict[str, Any] = {"year_suffixes": True, **data}
            stated["features"] = tuple(Feature(**feature) for feature in data["features"])
            stated["example"] = None if example is None else Example(**example)
            return cls(**stated)
        except ContractError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as exc:
            message = N_("the contract cannot be read: {reason}")
            raise ContractError(message, reason=type(exc).__name__) from exc


def _of_feature(data: dict[str, Any]) -> dict[str, Any]:
    """Return a feature's fields, `required` only if true: older releases reject the key."""
    return {name: value for name, value in data.items() if name != "required" or value}


def _check_fields(data: Any, kind: type, kinds: Mapping[str, str], where: str = "") -> None:
    """Check that `data` maps a dataclass's fields to values of their kinds, else name the field."""
    if not isinstance(data, Mapping):
        raise ContractError(N_("{field} must be an object"), field=where or _("the contract"))
    given = {str(name) for name in data}
    known = {one.name: one for one in fields(kind)}
    before = where and f"{where}: "
    if unknown := sorted(given - known.keys()):
        raise ContractError(N_("{where}unknown: {names}"), where=before, names=", ".join(unknown))
    needed = {n for n, one in known.items() if one.default is one.default_factory is MISSING}
    if missing := sorted(needed - given):
        raise ContractError(N_("{where}missing: {names}"), where=before, names=", ".join(missing))
    check_kinds(data, kinds, before)


def check_kinds(data: Mapping[str, Any], kinds: Mapping[str, str], where: str = "") -> None:
    """Check that each value has the kind of its field.

    Raises:
        ContractError: one has not; names its field.
    """
    if wrong := wrong_kind(data, kinds):
        name, words = wrong
        raise ContractError(N_("{field} must be {kind}"), field=f"{where}{name}", kind=words)
