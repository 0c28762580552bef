"""Differences between two versions: metrics, parameters, threshold, features, digests."""

import math
from collections.abc import Mapping

from core.cli.text_tables import text_table
from core.contract.compatibility import incompatible_changes
from core.contract.model import Feature, ModelContract
from core.messages import _, decimal, decimal_text
from core.messages.formats import NONE, number
from core.registry.evidence import Record, training_record
from core.registry.packages import read_contract
from core.registry.versions import Registry, Version

Facts = Mapping[str, str | float]


def diff(registry: Registry, first: str, second: str) -> str:
    """Return a table of the differences between two releases.

    Raises:
        UnknownVersion: there is no such release.
        UnreadableContract: inputs and outputs of one of them cannot be determined.
    """
    versions = [registry.by_release(first), registry.by_release(second)]
    contracts = [read_contract(registry, version) for version in versions]
    records = [training_record(registry, version) for version in versions]
    facts = [_facts(*each) for each in zip(versions, contracts, records, strict=True)]
    text = text_table([_("what"), first, second, _("difference")], _rows(*facts))
    breaks = incompatible_changes(*contracts)
    if breaks:
        heading = _("Breaks those who use {release}:", release=first)
        text += "\n- ".join(["\n\n" + heading, *breaks])
    for version, record in zip(versions, records, strict=True):
        if not record.complete:
            told = _("The run of {release} is gone, its metrics with it.", release=version.release)
            text += f"\n\n{told}"
    return text


def _rows(old: Facts, new: Facts) -> list[list[str]]:
    return [
        [name, _shown(old.get(name)), _shown(new.get(name)), _change(old.get(name), new.get(name))]
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _facts(version: Version, contract: ModelContract, record: Record) -> Facts:
    """Return everything comparable of a version by name; metrics first."""
    facts: dict[str, str | float] = dict(sorted(record.metrics.items()))
    facts |= {name: value for name, value in sorted(record.params.items()) if name != "release"}
    if not contract.outputs:
        facts[_("threshold served")] = version.threshold(contract)
    return facts | {f"feature {f.name}": _described(f) for f in contract.features}


def _described(feature: Feature) -> str:
    low, high = (NONE if v is None else decimal(float(v)) for v in (feature.min, feature.max))
    parts = (feature.type, feature.unit, f"[{low}; {high}]")
    required = "" if feature.nullable else _("required input")
    return " ".join(part for part in (*parts, required) if part)


def _shown(value: str | float | None) -> str:
    if value is None:
        return NONE
    if isinstance(value, str):
        return decimal_text(value)
    return number(value, 4)


def _change(old: str | float | None, new: str | float | None) -> str:
    """Return the difference of two numbers, signed; empty for anything else."""
    try:
        change = float(new) - float(old)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    if not math.isfinite(change):  # a digest such as 12e345 is read as infinity
        return ""
    counts = isinstance(old, str) and change.is_integer()
    return ("+" if change > 0 else "") + number(change, 0 if counts else 4)
