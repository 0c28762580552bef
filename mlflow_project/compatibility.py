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
        yield f"{name} não é mais aceita"
    for name in sorted(after.keys() - before.keys()):
        if not after[name].nullable:
            yield f"{name} é nova e obrigatória"
    for name in sorted(before.keys() & after.keys()):
        yield from _narrowed(before[name], after[name])
    if old.entity and old.entity != new.entity:
        yield f"{old.entity} não identifica mais uma pessoa"


def _narrowed(old: Feature, new: Feature) -> Iterator[str]:
    if old.type != new.type:
        yield f"{old.name} era {old.type}, agora é {new.type}"
    if old.unit != new.unit:
        yield f"{old.name}: a unidade era {old.unit or 'nenhuma'}, agora é {new.unit or 'nenhuma'}"
    if old.nullable and not new.nullable:
        yield f"{old.name} não pode mais ser nula"
    if new.min is not None and (old.min is None or new.min > old.min):
        yield f"{old.name}: o mínimo subiu para {new.min:g}"
    if new.max is not None and (old.max is None or new.max < old.max):
        yield f"{old.name}: o máximo caiu para {new.max:g}"
    if new.values and (not old.values or not set(old.values) <= set(new.values)):
        yield f"{old.name}: categorias foram retiradas"


def _output_changes(old: ModelContract, new: ModelContract) -> Iterator[str]:
    if old.score_name != new.score_name:
        yield f"o escore {old.score_name} agora é {new.score_name}"
    if old.label_name != new.label_name:
        yield f"o rótulo {old.label_name} agora é {new.label_name}"
    if old.target != new.target:
        yield "o alvo é outro"
