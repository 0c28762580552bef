"""Moving the aliases: promote, roll back, change a threshold.

`previous` is set first, then `champion`: MLflow has no transaction over two aliases, and `champion`
is the one that is served, so until it moves nothing has happened.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from mlflow_project.contract import names
from mlflow_project.contract.model import ContractError, Example, ModelContract
from mlflow_project.ledger import NOTICED, PROMOTE, ROLLBACK, THRESHOLD, Ledger, exclusive
from mlflow_project.settlement import refuse_if_in_flight, refuse_if_overtaken, settle
from mlflow_project.versions import Refused, Registry, UnknownVersion, Version

if TYPE_CHECKING:
    import pandas as pd

GATE_TAG = "gate"
GATE_PASSED, GATE_FAILED = "passed", "failed"
TOLERANCE = 1e-6
"""How far a reloaded model's score of its own example may lie from the logged one."""


def promote(registry: Registry, release: str, reason: str, *, force: bool = False) -> Version:
    """Make `release` the champion; the champion before it becomes `previous`.

    Raises:
        Refused: it is champion already, failed the gate without `force`, does not load, or there
            is `force` without a reason.
        UnknownVersion: there is no such release.
    """
    if force and not reason.strip():
        raise Refused('Promover contra os critérios exige um motivo: --reason "..."')
    with exclusive(registry):
        ledger = settle(registry)
        target = registry.by_release(release)
        against = _failures(target) if target.tags.get(GATE_TAG) == GATE_FAILED else ""
        if against and not force:
            raise Refused(
                f"A versão {release} não passou pelos critérios: {against}. "
                'Para promovê-la assim mesmo: --force --reason "..."'
            )
        return _flip(registry, ledger, PROMOTE, target, reason, forced=against)


def rollback(registry: Registry, reason: str, to: str | None = None) -> Version:
    """Make `to`, or what `champion` was before the last recorded flip, the champion again.

    Raises:
        Refused: no `to` is given and `champion` was moved outside these commands or by two at
            once, so `previous` may not be what was served before; or the target does not load.
        UnknownVersion: there is no such release, or no previous champion.
    """
    with exclusive(registry):
        ledger = settle(registry)
        if to is not None:
            return _flip(registry, ledger, ROLLBACK, registry.by_release(to), reason)
        flips = ledger.flips()
        if flips and flips[-1].action in NOTICED:
            raise Refused(
                "O alias champion foi mudado fora destes comandos ou por dois ao mesmo tempo; "
                "'previous' pode não ser a versão servida antes. Diga para qual voltar: "
                "rollback --to v1.0.0 --reason ..."
            )
        target = registry.by_alias(names.PREVIOUS)
        if target is None:
            raise UnknownVersion("Não há versão anterior: o alias 'previous' não existe.")
        return _flip(registry, ledger, ROLLBACK, target, reason)


def set_threshold(registry: Registry, release: str, value: float, reason: str) -> Version:
    """Set the tag that the proxy prefers to the contract's threshold; no restart is needed.

    Raises:
        Refused: the value lies outside [0, 1].
        UnknownVersion: there is no such release.
    """
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise Refused(f"O limiar {value} não está entre 0 e 1.")
    with exclusive(registry):
        ledger = settle(registry)
        version = registry.by_release(release)
        before = version.tags.get(names.TAG_THRESHOLD) or f"{read_contract(version).threshold:.6f}"
        facts = {"before": before, "after": str(value), "version": str(version.number)}
        entry = ledger.begin(THRESHOLD, reason, **facts)
        registry.set_tag(version, names.TAG_THRESHOLD, str(value))
        ledger.close(entry)
        return version


def settled(registry: Registry) -> Ledger:
    """Return the ledger after it was brought into agreement with the aliases."""
    with exclusive(registry):
        return settle(registry)


def _flip(
    registry: Registry,
    ledger: Ledger,
    action: str,
    target: Version,
    reason: str,
    forced: str = "",
) -> Version:
    try_version(target)
    known = refuse_if_in_flight(ledger)
    aliases = registry.aliases()
    before = aliases.get(names.CHAMPION)
    if before == target.number:
        raise Refused(f"A versão {target.release} já é a champion.")
    entry = ledger.begin(
        action,
        reason,
        before=str(before or ""),
        after=str(target.number),
        previous=str(aliases.get(names.PREVIOUS) or ""),
        forced=forced,
    )
    refuse_if_overtaken(ledger, entry, known)
    if before is not None:
        registry.set_alias(names.PREVIOUS, before)
    registry.set_alias(names.CHAMPION, target.number)
    ledger.close(entry)
    return replace(target, aliases=(*target.aliases, names.CHAMPION))


def _failures(version: Version) -> str:
    prefix = f"{GATE_TAG}."
    failed = [
        f"{key.removeprefix(prefix)} {value.removeprefix(GATE_FAILED).strip(' :')}"
        for key, value in sorted(version.tags.items())
        if key.startswith(prefix) and value.startswith(GATE_FAILED)
    ]
    return "; ".join(failed) or "motivo não registrado"


def read_contract(version: Version) -> ModelContract:
    """Return the contract that was logged with a version, without loading its weights.

    Raises:
        Refused: the version has none, or it cannot be read.
    """
    return contract_of(version.uri, version.release)


def contract_of(uri: str, release: str) -> ModelContract:
    """Return the contract in the metadata of the model at a URI or folder.

    Raises:
        Refused: there is none, or it cannot be read.
    """
    from mlflow.models import get_model_info

    metadata = get_model_info(uri).metadata or {}
    try:
        return ModelContract.from_dict(metadata[names.METADATA_CONTRACT])
    except (KeyError, ContractError) as exc:
        raise Refused(f"A versão {release} não traz um contrato legível: {exc}") from exc


def try_version(version: Version) -> None:
    """Load a version as a server would and check that it scores its own example as logged.

    Raises:
        Refused: it does not load, or its score differs.
    """
    check_example(version.uri, read_contract(version))


def check_example(uri: str, contract: ModelContract) -> None:
    """Load the model at a URI or folder and check that it scores its own example as logged.

    Raises:
        Refused: it does not load, or its score differs.
    """
    import mlflow.pyfunc

    release = contract.release
    if contract.example is None:
        raise Refused(f"A versão {release} não traz um exemplo para conferir.")
    try:
        output = mlflow.pyfunc.load_model(uri).predict(frame_of(contract, contract.example))
        score = float(output[0][contract.positive_class])
    except Exception as exc:
        raise Refused(f"A versão {release} não carrega: {type(exc).__name__}") from exc
    if abs(score - contract.example.score) > TOLERANCE:
        raise Refused(
            f"A versão {release} dá {score:.6f} ao seu próprio exemplo, "
            f"e não {contract.example.score:.6f}: não é o modelo que foi registrado."
        )


def frame_of(contract: ModelContract, example: Example) -> "pd.DataFrame":
    """Return an example as the typed frame (1, k) that the contract describes."""
    import pandas as pd

    kinds = {"double": "float64", "long": "int64", "boolean": "bool", "string": "str"}
    columns = {
        feature.name: pd.Series(
            [example.instance[feature.name]],
            # As pandas does: a missing long is a double, a missing boolean an object.
            dtype=kinds[feature.type]
            if example.instance[feature.name] is not None or feature.type in ("double", "string")
            else {"long": "float64", "boolean": "object"}[feature.type],
        )
        for feature in contract.features
    }
    return pd.DataFrame(columns)
