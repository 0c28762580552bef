"""What differs between two versions: metrics, parameters, threshold, features, digests."""

from core.cli.text_tables import text_table
from core.contract import names
from core.contract.compatibility import incompatible_changes
from core.contract.model import ModelContract
from core.messages import _
from core.registry.packages import read_contract
from core.registry.versions import Registry, Version


def diff(registry: Registry, first: str, second: str) -> str:
    """Return the differences of two releases as a table, what is equal left out.

    Raises:
        UnknownVersion: there is no such release.
        Refused: one of them has no readable contract.
    """
    versions = [registry.by_release(first), registry.by_release(second)]
    contracts = [read_contract(registry, version) for version in versions]
    facts = [_facts(registry, v, c) for v, c in zip(versions, contracts, strict=True)]
    rows = []
    for name in dict.fromkeys([*facts[0], *facts[1]]):
        old, new = facts[0].get(name, "–"), facts[1].get(name, "–")
        if old != new:
            rows.append([name, old, new, _change(old, new)])
    text = text_table([_("what"), first, second, _("difference")], rows)
    breaks = incompatible_changes(*contracts)
    if breaks:
        heading = _("Breaks those who use {release}:", release=first)
        text += "\n- ".join(["\n\n" + heading, *breaks])
    return text


def _facts(registry: Registry, version: Version, contract: ModelContract) -> dict[str, str]:
    """Return everything comparable of a version as text by name; metrics first."""
    data = registry.client.get_run(version.run_id).data
    facts = {name: f"{value:.4f}" for name, value in sorted(data.metrics.items())}
    facts |= {name: value for name, value in sorted(data.params.items()) if name != "release"}
    served = version.tags.get(names.TAG_THRESHOLD)
    facts[_("threshold served")] = served or f"{contract.threshold}"
    required = " " + _("required input")
    for feature in contract.features:
        facts[f"feature {feature.name}"] = (
            f"{feature.type} {feature.unit} [{feature.min}, {feature.max}]"
            f"{'' if feature.nullable else required}"
        )
    return facts


def _change(old: str, new: str) -> str:
    """Return the difference of two numbers, signed; empty for anything else."""
    try:
        return f"{float(new) - float(old):+.4f}"
    except ValueError:
        return ""
