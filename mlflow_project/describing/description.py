"""Complete a registered version's contract: `registry describe`, undone by `--reset`.

No training code changes: the description is an artifact beside the version's files, named by a tag
of the version, which running proxies read at their next poll.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.contract import names
from core.contract.compatibility import incompatible_changes
from core.contract.completed import artifact_of, completed, dumped, merged
from core.contract.model import ContractError, ModelContract
from core.files.scratch import scratch_folder
from core.messages import N_, _
from core.registry.packages import read_contract, read_description
from core.registry.places import is_unity
from core.registry.versions import Registry, Version
from mlflow_project.flips.ledger import Ledger, exclusive
from mlflow_project.flips.settlement import settle
from mlflow_project.versions.errors import Refused


def describe(
    registry: Registry,
    release: str,
    known: Mapping[str, Any],
    reason: str,
    *,
    accept_contract_change: bool = False,
) -> ModelContract:
    """Add described facts to a version's contract; return the completed contract.

    Raises:
        UnknownVersion: there is no such release.
        ContractError: the completed contract would be invalid.
        Refused: nothing is described, the version was registered by MLflow 2 or in Unity Catalog,
            or it is the champion and its clients would break.
    """
    if not known:
        raise Refused(N_("Nothing was described; see registry describe --help."))
    if is_unity(registry.place):
        raise Refused(
            N_(
                "Unity Catalog keeps a version's files as they were registered; describe "
                "{release} at the tracking server, export it and import it there."
            ),
            release=release,
        )
    with exclusive(registry):
        ledger = settle(registry)
        version = registry.by_release(release)
        if version.model_id is None:
            text = N_("Version {release} was registered by an older MLflow; register it anew.")
            raise Refused(text, release=release)
        whole = merged(_before(registry, version), known)
        contract = completed(_as_registered(registry, version), whole)
        text, digest = dumped(whole)
        _upload(registry, version.model_id, text, digest)
        _switch(registry, ledger, version, contract, digest, reason, accept_contract_change)
        return contract


def reset_description(
    registry: Registry, release: str, reason: str, *, accept_contract_change: bool = False
) -> ModelContract:
    """Remove a version's description; return its contract as registered.

    Raises:
        UnknownVersion: there is no such release.
        Refused: the version has no description, or it is the champion and its clients would break.
    """
    with exclusive(registry):
        ledger = settle(registry)
        version = registry.by_release(release)
        if names.TAG_DESCRIPTION not in version.tags:
            raise Refused(N_("Version {release} was never described."), release=release)
        contract = _as_registered(registry, version)
        _switch(registry, ledger, version, contract, "", reason, accept_contract_change)
        return contract


def _as_registered(registry: Registry, version: Version) -> ModelContract:
    """Return the contract without the description."""
    tags = {k: v for k, v in version.tags.items() if k != names.TAG_DESCRIPTION}
    return read_contract(registry, replace(version, tags=tags))


def _before(registry: Registry, version: Version) -> Mapping[str, Any]:
    try:
        return read_description(registry, version)
    except ContractError:
        return {}  # damaged: the new description replaces it


def _upload(registry: Registry, model_id: str, text: str, digest: str) -> None:
    with scratch_folder() as folder:
        path = folder / artifact_of(digest)
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        registry.client.log_model_artifacts(model_id, str(folder))


def _switch(
    registry: Registry,
    ledger: Ledger,
    version: Version,
    contract: ModelContract,
    digest: str,
    reason: str,
    accept_contract_change: bool,
) -> None:
    """Set or delete the tag that names the description, unless the contract then breaks clients."""
    breaks = _breaks(registry, version, contract)
    if breaks and not accept_contract_change:
        raise Refused(
            N_(
                "Version {release} breaks those who use the API today: {breaks}. "
                "Tell the clients; to promote it: --accept-contract-change"
            ),
            release=version.release,
            breaks="; ".join(breaks),
        )
    entry = ledger.begin(
        names.LEDGER_DESCRIBE,
        reason or _("described"),
        before=version.tags.get(names.TAG_DESCRIPTION, ""),
        after=digest,
        version=str(version.number),
    )
    if breaks:
        # Set first: a proxy that reads the description must find the change accepted.
        registry.set_tag(version, names.TAG_CONTRACT_CHANGE, names.CONTRACT_CHANGE_ACCEPTED)
    if digest:
        registry.set_tag(version, names.TAG_DESCRIPTION, digest)
    else:
        registry.delete_tag(version, names.TAG_DESCRIPTION)
    ledger.close(entry)


def _breaks(registry: Registry, version: Version, contract: ModelContract) -> list[str]:
    """Return the changes that break clients if the version is the champion; otherwise none."""
    champion = registry.by_alias(names.CHAMPION)
    if champion is None or champion.number != version.number:
        return []
    return incompatible_changes(read_contract(registry, version), contract)
