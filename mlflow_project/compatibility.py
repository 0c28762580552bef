"""Does a new contract still accept and answer what clients of the old one send and read?"""

from collections.abc import Iterator

from mlflow_project.contract.model import Feature, ModelContract


def incompatible_changes(old: ModelContract, new: ModelContract) -> list[str]:
    """Return what could break a client of `old` when `new` is served, in words; empty if nothing.

    A new feature that may be absent, a wider range, a new text or order breaks nobody.
    """
    return [*_input_changes(old, new), *_output_changes(old, new)]


def _input_changes(old: ModelContract, new: ModelContract) -> Iterator[str]:
    before = {feature.name: feature for feature in old.features}
    after = {feature.name: feature for feature in new.features}
    for name in sorted(before.keys() - after.keys()):
        yield f"{name} is no longer accepted"
    for name in sorted(after.keys() - before.keys()):
        if not after[name].nullable:
            yield f"{name} is new and required"
    for name in sorted(before.keys() & after.keys()):
        yield from _narrowed(before[name], after[name])
    if old.entity and old.entity != new.entity:
        yield f"{old.entity} no longer identifies a person"


def _narrowed(old: Feature, new: Feature) -> Iterator[str]:
    if old.type != new.type:
        yield f"{old.name} was {old.type}, is {new.type}"
    if old.unit != new.unit:
        yield f"{old.name} was in {old.unit or 'no unit'}, is in {new.unit or 'no unit'}"
    if old.nullable and not new.nullable:
        yield f"{old.name} may no longer be null"
    if new.min is not None and (old.min is None or new.min > old.min):
        yield f"{old.name}: the least value rose to {new.min:g}"
    if new.max is not None and (old.max is None or new.max < old.max):
        yield f"{old.name}: the greatest value fell to {new.max:g}"
    if new.values and (not old.values or not set(old.values) <= set(new.values)):
        yield f"{old.name}: categories were taken away"


def _output_changes(old: ModelContract, new: ModelContract) -> Iterator[str]:
    if old.score_name != new.score_name:
        yield f"the score {old.score_name} is now {new.score_name}"
    if old.label_name != new.label_name:
        yield f"the label {old.label_name} is now {new.label_name}"
    if old.target != new.target:
        yield "the target is another"
