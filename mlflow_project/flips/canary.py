"""Canary: a second version answers a share of the requests, until it is stopped or promoted.

The alias `canary` names the version, whose tags hold the share and the start time. The tags are set
before the alias, since proxies read the share as soon as the alias points to the version.
"""

from datetime import UTC, datetime

from core.contract import names
from core.messages import N_, _
from core.registry.proxies import read_reports
from core.registry.versions import Registry, Version
from mlflow_project.flips import promotion
from mlflow_project.flips.ledger import RECENT, Ledger, exclusive
from mlflow_project.flips.settlement import settle
from mlflow_project.versions.errors import Refused
from mlflow_project.versions.trial import try_version

START, STOP = names.LEDGER_CANARY_START, names.LEDGER_CANARY_STOP


def start(registry: Registry, release: str, share: float, reason: str) -> Version:
    """Route `share` percent of the requests to `release` instead of the champion.

    Raises:
        Refused: the share is not in (0, 100], there is no champion, or the version is the champion,
            failed the criteria, does not load or would break clients.
        UnknownVersion: there is no such release.
    """
    if not 0 < share <= 100:
        raise Refused(N_("{share} is no share in percent (0 < share ≤ 100)."), share=share)
    with exclusive(registry):
        ledger = settled(registry)
        target = registry.by_release(release)
        _check(registry, target)
        before = registry.aliases().get(names.CANARY)
        facts = {"before": str(before or ""), "after": str(target.number)}
        entry = ledger.begin(START, reason, **facts, version=f"{share:g} %")
        begun = datetime.now(UTC).isoformat(timespec="milliseconds")
        registry.set_tag(target, names.TAG_CANARY_SHARE, f"{share:g}")
        registry.set_tag(target, names.TAG_CANARY_BEGUN, begun)
        registry.set_alias(names.CANARY, target.number)
        ledger.close(entry)
        return target


def stop(registry: Registry, reason: str) -> None:
    """Stop the canary: the champion answers all requests again.

    Raises:
        Refused: there is no canary.
    """
    with exclusive(registry):
        ledger = settled(registry)
        canary = registry.aliases().get(names.CANARY)
        if canary is None:
            raise Refused(N_("There is no canary."))
        _stop(registry, ledger, canary, reason)


def promote(registry: Registry, reason: str) -> Version:
    """Promote the canary to champion, then stop it as canary.

    Raises:
        Refused: there is no canary, or `promotion.promote` refuses it.
    """
    canary = registry.by_alias(names.CANARY)
    if canary is None:
        raise Refused(N_("There is no canary."))
    version = promotion.promote(registry, canary.release, reason)
    stop(registry, _("promoted"))
    return version


def look(registry: Registry) -> Ledger:
    """Reconcile ledger and aliases under the lock; return the ledger."""
    with exclusive(registry):
        return settled(registry)


def settled(registry: Registry) -> Ledger:
    """Reconcile the ledger with all aliases, the canary's included; return the ledger.

    A canary that one proxy has stopped is stopped for all. An interrupted command's entry is closed
    if the alias points to the entry's version, else undone. Call it with this host's lock held.
    """
    ledger = settle(registry)
    canary = registry.aliases().get(names.CANARY)
    for entry in ledger.entries(RECENT):
        if entry.open and entry.action in (START, STOP) and not entry.in_flight:
            done = entry.after == str(canary or "")
            (ledger.close if done else ledger.undo)(entry.run_id)
    version = registry.find(canary) if canary is not None else None
    if version is not None and (why := _stopped(registry, version)):
        _stop(registry, ledger, version.number, why)
    return ledger


def _stopped(registry: Registry, canary: Version) -> str:
    """Return why a proxy has stopped a canary; empty if none has."""
    begun = canary.tags.get(names.TAG_CANARY_BEGUN)
    for state in (report.state for report in read_reports(registry)):
        if begun and state.canary_stopped and state.canary_begun == begun:
            return f"{state.proxy}: {state.canary_stopped}"
    return ""


def _stop(registry: Registry, ledger: Ledger, canary: int, reason: str) -> None:
    entry = ledger.begin(STOP, reason, before=str(canary))
    registry.set_alias(names.CANARY, None)
    ledger.close(entry)


def _check(registry: Registry, target: Version) -> None:
    champion = registry.aliases().get(names.CHAMPION)
    if champion is None:
        raise Refused(N_("Without a champion there is nobody whose share a canary could answer."))
    if champion == target.number:
        raise Refused(N_("Version {release} is the champion already."), release=target.release)
    against = promotion.failures(target)
    if against:
        text = N_("Version {release} failed the criteria: {against}. It can be no canary.")
        raise Refused(text, release=target.release, against=against)
    breaks = promotion.breaking_changes(registry, champion, try_version(registry, target))
    if breaks:
        text = N_("Version {release} breaks those who use the API today: {breaks}.")
        raise Refused(text, release=target.release, breaks="; ".join(breaks))
