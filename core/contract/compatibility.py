"""Backward compatibility of contracts: the requests and responses of existing clients."""

from collections.abc import Iterator

from core.contract.model import Feature, ModelContract
from core.messages import _


def incompatible_changes(old: ModelContract, new: ModelContract) -> list[str]:
    """Return the changes that could break a client of `old` when `new` is served, as text.

    A new optional feature, a wider range, new categories, descriptions or order break no client.
    """
    return [*_input_changes(old, new), *_output_changes(old, new)]


def _input_changes(old: ModelContract, new: ModelContract) -> Iterator[str]:
    before = {feature.name: feature for feature in old.features}
    after = {feature.name: feature for feature in new.features}
    for name in sorted(before.keys() - after.keys()):
        yield _("{name} is no longer accepted", name=name)
    for name in sorted(after.keys() - before.keys()):
        if not after[name].nullable:
            yield _("{name} is new and required", name=name)
    for name in sorted(before.keys() & after.keys()):
        yield from _narrowed(before[name], after[name])
    if old.entity and old.entity != new.entity:
        yield _("{name} no longer identifies the person", name=old.entity)


def _narrowed(old: Feature, new: Feature) -> Iterator[str]:
    if old.type != new.type:
        yield _("{name} was {old}, becomes {new}", name=old.name, old=old.type, new=new.type)
    if old.unit != new.unit:
        before, after = (feature.unit or _("(no unit)") for feature in (old, new))
        yield _("{name} was in {old}, becomes {new}", name=old.name, old=before, new=after)
    if old.nullable and not new.nullable:
        yield _("{name} may no longer be null", name=old.name)
    if new.min is not None and (old.min is None or new.min > old.min):
        yield _("{name}: the minimum rises to {value}", name=old.name, value=float(new.min))
    if new.max is not None and (old.max is None or new.max < old.max):
        yield _("{name}: the maximum falls to {value}", name=old.name, value=float(new.max))
    if new.values and (not old.values or not set(old.values) <= set(new.values)):
        yield _("{name}: loses categories", name=old.name)


def _output_changes(old: ModelContract, new: ModelContract) -> Iterator[str]:
    if old.score_name != new.score_name:
        yield _("the score {old} is renamed {new}", old=old.score_name, new=new.score_name)
    if old.label_name != new.label_name:
        yield _("the label {old} is renamed {new}", old=old.label_name, new=new.label_name)
    if old.outputs != new.outputs:
        yield _("the outputs {old} become {new}", old=list(old.outputs), new=list(new.outputs))
    if old.target != new.target:
        yield _("the target is another one")
