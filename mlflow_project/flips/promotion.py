"""Move the aliases: promote, roll back, change a threshold.

`previous` is set first, then `champion`: MLflow has no transaction over two aliases, and only
`champion` is served, so an interruption before it moves changes nothing for clients.
"""

import math
from dataclasses import replace

from core.contract import names
from core.contract.compatibility import incompatible_changes
from core.contract.model import ModelContract
from core.messages import N_, _
from core.mlflow_client.errors import UnreadableContract
from core.registry.packages import read_contract
from core.registry.versions import Registry, Version
from mlflow_project.flips.ledger import Ledger, exclusive
from mlflow_project.flips.settlement import refuse_if_in_flight, refuse_if_overtaken, settle
from mlflow_project.versions.errors import Refused
from mlflow_project.versions.trial import try_version

GATE_TAG = "gate"
GATE_PASSED, GATE_FAILED = "passed", "failed"


def promote(
    registry: Registry,
    release: str,
    reason: str,
    *,
    force: bool = False,
    accept_contract_change: bool = False,
) -> Version:
    """Make `release` the champion; the champion before it becomes `previous`.

    Raises:
        Refused: it is champion already, failed the gate without `force`, does not load, would break
            clients without `accept_contract_change`, or there is `force` without a reason.
        UnknownVersion: there is no such release.
    """
    if force and not reason.strip():
        raise Refused(N_('A promotion against the criteria needs a reason: --reason "..."'))
    with exclusive(registry):
        ledger = settle(registry)
        target = registry.by_release(release)
        against = failures(target)
        if against and not force:
            text = N_(
                "Version {release} failed the criteria: {against}. "
                'To promote it all the same: --force --reason "..."'
            )
            raise Refused(text, release=release, against=against)
        action, consent = names.LEDGER_PROMOTE, accept_contract_change
        return _flip(registry, ledger, action, target, reason, consent, forced=against)


def rollback(registry: Registry, reason: str, to: str | None = None) -> Version:
    """Make `to`, or by default the version at the alias `previous`, the champion again.

    Raises:
        Refused: no `to` is given and `champion` was moved outside these commands or by two at once,
            so `previous` may not be the version served before; or the target does not load.
        UnknownVersion, AliasMissing: there is no such release, or no previous champion.
    """
    with exclusive(registry):
        ledger = settle(registry)
        flips = ledger.flips() if to is None else []
        if flips and flips[-1].action in names.LEDGER_NOTICED:
            text = N_(
                "The alias champion was moved outside these commands or by two at once; "
                "'previous' may not be the version served before. Say which to go back to: "
                "rollback --to v1.0.0 --reason ..."
            )
            raise Refused(text)
        target = registry.at_alias(names.PREVIOUS) if to is None else registry.by_release(to)
        return _flip(registry, ledger, names.LEDGER_ROLLBACK, target, reason, True)


def set_threshold(registry: Registry, release: str, value: float, reason: str) -> Version:
    """Set the threshold tag, which overrides the contract's threshold without a restart.

    Raises:
        Refused: the value lies outside [0, 1], or the version has no score.
        UnknownVersion: there is no such release.
    """
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise Refused(N_("The threshold {value} is not between 0 and 1."), value=value)
    with exclusive(registry):
        ledger = settle(registry)
        version = registry.by_release(release)
        contract = read_contract(registry, version)
        if contract.outputs:
            raise Refused(N_("Version {release} has no score to compare with."), release=release)
        before = version.tags.get(names.TAG_THRESHOLD) or f"{contract.threshold:.6f}"
        facts = {"before": before, "after": str(value), "version": str(version.number)}
        entry = ledger.begin(names.LEDGER_THRESHOLD, reason, **facts)
        registry.set_tag(version, names.TAG_THRESHOLD, str(value))
        ledger.close(entry)
        return version


def breaking_changes(
    registry: Registry, champion: int | None, contract: ModelContract
) -> list[str]:
    """Return the changes in a contract that break clients of a champion (by number)."""
    version = None if champion is None else registry.find(champion)
    if version is None:
        return []
    try:
        return incompatible_changes(read_contract(registry, version), contract)
    except UnreadableContract:
        return []


def _flip(
    registry: Registry,
    ledger: Ledger,
    action: str,
    target: Version,
    reason: str,
    accept_contract_change: bool,
    forced: str = "",
) -> Version:
    contract = try_version(registry, target)
    known = refuse_if_in_flight(ledger)
    aliases = registry.aliases()
    before = aliases.get(names.CHAMPION)
    if before == target.number:
        raise Refused(N_("Version {release} is the champion already."), release=target.release)
    breaks = breaking_changes(registry, before, contract)
    if breaks and not accept_contract_change:
        text = N_(
            "Version {release} breaks those who use the API today: {breaks}. "
            "Tell the clients; to promote it: --accept-contract-change"
        )
        raise Refused(text, release=target.release, breaks="; ".join(breaks))
    facts = {"after": str(target.number), "forced": forced}
    facts |= {"before": str(before or ""), "previous": str(aliases.get(names.PREVIOUS) or "")}
    entry = ledger.begin(action, reason, **facts)
    refuse_if_overtaken(ledger, entry, known)
    if breaks:
        # Before the alias: a proxy that loads the version must find the change accepted.
        registry.set_tag(target, names.TAG_CONTRACT_CHANGE, names.CONTRACT_CHANGE_ACCEPTED)
    if before is not None:
        registry.set_alias(names.PREVIOUS, before)
    registry.set_alias(names.CHAMPION, target.number)
    ledger.close(entry)
    return replace(target, aliases=(*target.aliases, names.CHAMPION))


def failures(version: Version) -> str:
    """Return the gate criteria that a version failed, as text; empty if none."""
    if version.tags.get(GATE_TAG) != GATE_FAILED:
        return ""
    prefix = f"{GATE_TAG}."
    failed = [
        f"{key.removeprefix(prefix)} {value.removeprefix(GATE_FAILED).strip(' :')}"
        for key, value in sorted(version.tags.items())
        if key.startswith(prefix) and value.startswith(GATE_FAILED)
    ]
    return "; ".join(failed) or _("no reason recorded")
