"""Does a new contract still accept and answer what clients of the old one send and read?"""

from collections.abc import Iterator

from core.contract.model import Feature, ModelContract


def incompatible_changes(old: ModelContract, new: ModelContract) -> list[str]:
    """Return what could break a client of `old` when `new` is served, in words; empty if nothing.

    A new feature that may be absent, a wider range, a new text or order breaks nobody.
    """
    return [*_input_changes(old, new), *_output_changes(old, new)]


def _input_changes(old: ModelContract, new: ModelContract) -> Iterator[str]:
    before = {feature.name: feature for feature in old.features}
    after = {feature.name: feature for feature in new.features}
    for name in sorted(before.keys() - after.keys()):
        yield f"{name} deixa de ser aceita"
    for name in sorted(after.keys() - before.keys()):
        if not after[name].nullable:
            yield f"{name} é nova e obrigatória"
    for name in sorted(before.keys() & after.keys()):
        yield from _narrowed(before[name], after[name])
    if old.entity and old.entity != new.entity:
        yield f"{old.entity} deixa de identificar a pessoa"


def _narrowed(old: Feature, new: Feature) -> Iterator[str]:
    if old.type != new.type:
        yield f"{old.name} era {old.type}, passa a ser {new.type}"
    if old.unit != new.unit:
        before, after = (feature.unit or "(sem unidade)" for feature in (old, new))
        yield f"{old.name} era em {before}, passa a {after}"
    if old.nullable and not new.nullable:
        yield f"{old.name} não pode mais ser nula"
    if new.min is not None and (old.min is None or new.min > old.min):
        yield f"{old.name}: o mínimo sobe para {new.min:g}"
    if new.max is not None and (old.max is None or new.max < old.max):
        yield f"{old.name}: o máximo cai para {new.max:g}"
    if new.values and (not old.values or not set(old.values) <= set(new.values)):
        yield f"{old.name}: perde categorias"


def _output_changes(old: ModelContract, new: ModelContract) -> Iterator[str]:
    if old.score_name != new.score_name:
        yield f"o score {old.score_name} passa a se chamar {new.score_name}"
    if old.label_name != new.label_name:
        yield f"o label {old.label_name} passa a se chamar {new.label_name}"
    if old.outputs != new.outputs:
        yield f"as saídas {list(old.outputs)} passam a ser {list(new.outputs)}"
    if old.target != new.target:
        yield "o alvo é outro"
