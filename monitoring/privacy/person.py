"""Data-subject requests: erasure and access (LGPD, art. 18).

The identity is pseudonymized at once; neither it nor the pseudonym is printed, logged or written.
"""

import os
import sys
from pathlib import Path

from core.cli.arguments import say
from core.contract.pseudonym import pseudonym, spellings
from core.errors import ProjectError
from core.messages import N_, _, ngettext
from core.store.filesystem import Store
from core.store.quarantine import Unreadable
from core.store.quarantined import EXIT_QUARANTINED, told
from core.store.row_filters import OfPerson
from core.upkeep.erasure import count, erase, find
from monitoring.privacy import exporting
from monitoring.privacy.errors import IdentityMissing, KeyMissing
from monitoring.tracking.jobs import JobRegistry

DRY = N_("Nothing was changed; add --apply to do it.")
EXIT_LEFT = 3
"""Exit code when new rows of the person were captured during the removal."""


def forget(store: Store, identity: str, apply: bool) -> int:
    """Remove one person's rows; return the exit code, `EXIT_LEFT` if new ones were captured."""
    rule = _person(identity)
    if not apply:
        return _only_counted(store, rule, _(DRY))
    with JobRegistry().run(None, "retention", "forget") as job:
        done = erase(store, rule)
        left = count(store, rule).rows
        job.log({"action": "forget"}, {**done.numbers(), "rows_left": left}, {})
    removed = N_("Rows removed from {store}: {rows} ({where}).")
    say(_(removed, store=store, rows=done.rows, where=done.where()))
    say(_left(left), _elsewhere(store), *told(done.quarantined))
    say(_("Run in MLflow: {url}", url=job.url))
    return EXIT_LEFT if left else EXIT_QUARANTINED if done.quarantined else 0


def export(store: Store, identity: str, target: Path | None) -> int:
    """Write one person's rows, or without a target print their number; return the exit code."""
    rule = _person(identity)
    if target is None:
        unwritten = _("Nothing was written; add --to FILE (.json, .csv or .parquet) to write it.")
        return _only_counted(store, rule, unwritten)
    exporting.check_format(target)
    left_out = Unreadable(store, only_look=True)
    with JobRegistry().run(None, "retention", "export") as job:
        rows = exporting.write(target, [table for _journal, table in find(store, rule, left_out)])
        job.log({"action": "export"}, {"rows_exported": rows}, {})
    written = ngettext(
        "{n} row written to {target}, which only this user can read.",
        "{n} rows written to {target}, which only this user can read.",
        rows,
        target=target,
    )
    say(written, _("It is personal data: hand it over and delete it."))
    say(*told(left_out.all()), _("Run in MLflow: {url}", url=job.url))
    return EXIT_QUARANTINED if left_out.all() else 0


def _only_counted(store: Store, rule: OfPerson, advice: str) -> int:
    """Print the number of the person's rows and the advice; return the exit code."""
    found = count(store, rule)
    text = N_("Rows of this person in {store}: {rows} ({where}).")
    told_rows = _(text, store=store, rows=found.rows, where=found.where())
    say(told_rows, advice, *told(found.quarantined))
    return EXIT_QUARANTINED if found.quarantined else 0


def _left(rows: int) -> str:
    """Return the console line on the rows of the person that remain."""
    if not rows:
        return _("Checked: no row of this person is left.")
    return ngettext(
        "{n} new row of this person came meanwhile: stop sending it and repeat.",
        "{n} new rows of this person came meanwhile: stop sending it and repeat.",
        rows,
    )


def _person(text: str) -> OfPerson:
    """Return the row filter for a person; `-` reads the identity from standard input."""
    key = os.environ.get("PSEUDONYM_KEY", "")
    if not key:
        raise KeyMissing
    identity = sys.stdin.readline() if text == "-" else text
    if not identity.strip():
        raise IdentityMissing
    return OfPerson(*(pseudonym(one, key) for one in spellings(identity, _prefix())))


def _prefix() -> str | None:
    """Return the entity prefix of the champion's contract; None without one or a registry."""
    try:
        return JobRegistry().version().contract.entity_prefix
    except ProjectError:
        # Erasure must work without a registry: fall back to the prefix as typed.
        return None


def _elsewhere(store: Store) -> str:
    """Return the console line on the copies that this command cannot reach."""
    if store.folder is None:
        return _(
            "Journals lie on the machine of each API: repeat on each of them. In a bucket with "
            "versioning, old versions of the objects hold the rows too."
        )
    return _("Files of results, workbooks and backups are not seen by this command.")
