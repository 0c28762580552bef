"""Reconcile ledger and aliases before a flip.

An interrupted flip of ours is completed or rolled back. A flip by hand, and two concurrent flips
from hosts that share no lock, leave a ledger that disagrees with the alias or with itself; both are
recorded in the ledger, once, and reported by the next command.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from core.contract import names
from core.messages import N_, _
from core.registry.versions import Registry
from mlflow_project.flips.ledger import Ledger, LedgerEntry
from mlflow_project.versions.errors import Refused


def settle(registry: Registry) -> Ledger:
    """Reconcile ledger and aliases; call it with this host's lock held."""
    ledger = Ledger(registry)
    flips = ledger.flips()
    if flips and flips[-1].open:
        if flips[-1].in_flight:
            return ledger
        _recover(registry, ledger, flips[-1])
        flips = ledger.flips()
    champion = str(registry.aliases().get(names.CHAMPION) or "")
    recorded = flips[-1].after if flips else ""
    clash = _clash(flips)
    if clash is not None:
        text = _told(clash, champion)
        ledger.record(names.LEDGER_CONFLICT, text, before=recorded, after=champion)
    elif champion != recorded:
        text = _("changed outside these commands")
        ledger.record(names.LEDGER_UNRECORDED, text, before=recorded, after=champion)
        facts = {"old": recorded or "–", "new": champion or "–", "text": text}
        text = _("champion went from no. {old} to no. {new}: {text}", **facts)
    else:
        return ledger
    text = _("{text} (see: registry history)", text=text)
    sys.stderr.write(_("warning: {text}", text=text) + "\n")
    return ledger


def refuse_if_in_flight(ledger: Ledger) -> list[LedgerEntry]:
    """Return the flips so far.

    Raises:
        Refused: another host is moving the aliases now.
    """
    flips = ledger.flips()
    if flips and flips[-1].open:
        raise _at_once(flips[-1])
    return flips


def refuse_if_overtaken(ledger: Ledger, own: str, known: Sequence[LedgerEntry]) -> None:
    """Undo our open entry if another flip began since `known` was read.

    Every command writes its entry before it reads the others', so of two concurrent ones at least
    one detects the other.

    Raises:
        Refused: another flip began; no alias has been moved.
    """
    before = {own, *(entry.run_id for entry in known)}
    # A flip begun since then has a later time; an older entry may only have become visible.
    since = known[-1].when if known else datetime.fromtimestamp(0, UTC)
    flips = [entry for entry in ledger.flips() if entry.when > since]
    others = [entry for entry in flips if entry.run_id not in before]
    if others:
        ledger.undo(own)
        raise _at_once(others[-1])


def _at_once(other: LedgerEntry) -> Refused:
    text = N_(
        "{author} is moving the champion at this moment (or has just moved it). "
        "Nothing was changed here; see registry history and repeat the command."
    )
    return Refused(text, author=_author(other))


def _recover(registry: Registry, ledger: Ledger, died: LedgerEntry) -> None:
    """Close an interrupted flip that moved `champion`; undo one that moved `previous` alone."""
    if str(registry.aliases().get(names.CHAMPION) or "") == died.after:
        ledger.close(died.run_id)
        return
    registry.set_alias(names.PREVIOUS, int(died.previous) if died.previous else None)
    ledger.undo(died.run_id)


def _clash(flips: Sequence[LedgerEntry]) -> tuple[LedgerEntry, LedgerEntry] | None:
    """Return two consecutive flips of which the second did not start where the first had ended.

    Conflicts that were already recorded are not reported again.
    """
    noted = [i for i, entry in enumerate(flips) if entry.action == names.LEDGER_CONFLICT]
    recent = flips[noted[-1] :] if noted else flips
    return next(((a, b) for a, b in pairwise(recent) if a.after != b.before), None)


def _told(clash: tuple[LedgerEntry, LedgerEntry], champion: str) -> str:
    first, second = clash
    return _(
        "{first} and {second} moved the champion at the same time, "
        "to no. {one} and no. {other}; no. {champion} stayed",
        first=_author(first),
        second=_author(second),
        one=first.after,
        other=second.after,
        champion=champion or "–",
    )


def _author(entry: LedgerEntry) -> str:
    return f"{entry.who or '?'}@{entry.host or '?'}"
