"""The registry's versions and its ledger as text tables."""

from collections.abc import Mapping, Sequence

from core.cli.text_tables import text_table
from core.contract import names
from core.messages import N_, _, decimal_text
from core.registry.versions import Registry
from mlflow_project.flips.ledger import LedgerEntry

_ONE_BY_ONE = 40
"""Most versions to request by number; for more, listing all is quicker."""
_VERDICTS = {"passed": N_("criteria met"), "failed": N_("criteria failed")}
_NOTICED = {names.LEDGER_UNRECORDED: N_("unrecorded"), names.LEDGER_CONFLICT: N_("conflict")}


def list_versions(registry: Registry, last: int | None = None) -> str:
    """Return the versions as a table, newest first; `last` limits their number."""
    rows = [
        [
            version.release,
            str(version.number),
            ", ".join(version.aliases) or "–",
            f"{version.created.astimezone():%Y-%m-%d %H:%M}",
            _(_VERDICTS.get(version.tags.get("gate", ""), "–")),
            decimal_text(version.tags.get(names.TAG_THRESHOLD, _("the model's"))),
            version.tags.get(names.TAG_DRIFT_STATUS, "–"),
        ]
        for version in registry.versions(last=last)
    ]
    if not rows:
        return _("The model {name} has no versions yet.", name=registry.name)
    head = [
        *(_("version"), _("no."), _("alias"), _("registered at"), _("criteria")),
        *(_("threshold"), _("drift")),
    ]
    return text_table(head, rows)


def show_history(registry: Registry, entries: Sequence[LedgerEntry]) -> str:
    """Return the ledger as a table, oldest first."""
    releases = _releases(registry, entries)
    rows = []
    for entry in entries:
        when = f"{entry.when.astimezone():%Y-%m-%d %H:%M:%S}"
        noticed = entry.action in names.LEDGER_NOTICED
        rows.append(
            [
                _("noticed {when}", when=when) if noticed else when,
                _action(entry),
                *_from_to(entry, releases),
                # The user who detected a change did not make it.
                "–" if noticed else entry.who,
                entry.why or "–",
            ]
        )
    if not rows:
        return _("The history is empty: no version has been promoted yet.")
    return text_table([_("when"), _("action"), _("from"), _("to"), _("who"), _("reason")], rows)


def _releases(registry: Registry, entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """Return the releases of the versions that entries name, by number."""
    named = {n for e in entries if not e.origin for n in (e.before, e.after, e.version)}
    numbers = [int(name) for name in named if name.isdecimal()]
    if len(numbers) > _ONE_BY_ONE:
        return {str(v.number): v.release for v in registry.versions()}
    found = (registry.find(number) for number in numbers)
    return {str(version.number): version.release for version in found if version}


def _action(entry: LedgerEntry) -> str:
    """Return the action: the command, or the change that a later command detected."""
    label = _(_NOTICED[entry.action]) if entry.action in _NOTICED else entry.action
    label += " --force" * bool(entry.forced)
    return _("{action} (at its origin)", action=label) if entry.origin else label


def _from_to(entry: LedgerEntry, releases: Mapping[str, str]) -> tuple[str, str]:
    """Return the cells `from` and `to`: releases, or thresholds and their version's release."""

    def release(number: str) -> str:
        if entry.origin:
            return number or "–"
        gone = _("no. {number} (deleted)", number=number)
        return releases.get(number, gone) if number else "–"

    if entry.action == names.LEDGER_THRESHOLD:
        return decimal_text(entry.before), f"{decimal_text(entry.after)} ({release(entry.version)})"
    share = ""
    if entry.action == names.LEDGER_CANARY_START:
        share = f" ({decimal_text(entry.version.removesuffix(' %'))} %)"
    return release(entry.before), release(entry.after) + share
