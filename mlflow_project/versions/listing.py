"""The registry for people: its versions, and its ledger."""

from collections.abc import Mapping, Sequence

from core.cli.text_tables import text_table
from core.contract import names
from core.registry.versions import Registry
from mlflow_project.versions.ledger import CONFLICT, NOTICED, UNRECORDED, Entry

_VERDICTS = {"passed": "aprovada", "failed": "reprovada"}
_NOTICED = {UNRECORDED: "não registrada", CONFLICT: "conflito"}


def list_versions(registry: Registry) -> str:
    """Return the versions as a table, newest first."""
    rows = [
        [
            version.release or "–",
            str(version.number),
            ", ".join(version.aliases) or "–",
            f"{version.created.astimezone():%Y-%m-%d %H:%M}",
            _VERDICTS.get(version.tags.get("gate", ""), "–"),
            version.tags.get(names.TAG_THRESHOLD, "do modelo"),
            version.tags.get(names.TAG_DRIFT_STATUS, "–"),
        ]
        for version in registry.versions()
    ]
    if not rows:
        return f"O modelo {registry.name} ainda não tem versões."
    head = ["versão", "nº", "alias", "criada em", "critérios", "limiar", "drift"]
    return text_table(head, rows)


def show_history(registry: Registry, entries: Sequence[Entry]) -> str:
    """Return the ledger as a table, oldest first."""
    releases = {str(v.number): v.release or f"nº {v.number}" for v in registry.versions()}
    rows = []
    for entry in entries:
        when = f"{entry.when.astimezone():%Y-%m-%d %H:%M:%S}"
        noticed = entry.action in NOTICED
        rows.append(
            [
                f"notada em {when}" if noticed else when,
                _action(entry),
                *_from_to(entry, releases),
                # Who noticed is not who did it.
                "–" if noticed else entry.who,
                entry.why or "–",
            ]
        )
    if not rows:
        return "O histórico está vazio: nenhuma versão foi promovida ainda."
    return text_table(["quando", "ação", "de", "para", "quem", "motivo"], rows)


def _action(entry: Entry) -> str:
    """Return what was done: the command, or what a later command noticed."""
    label = _NOTICED.get(entry.action, entry.action)
    return label + " --force" * bool(entry.forced) + " (na origem)" * entry.origin


def _from_to(entry: Entry, releases: Mapping[str, str]) -> tuple[str, str]:
    """Return the two cells for people: releases, or thresholds and whose they are."""

    def release(number: str) -> str:
        if entry.origin:
            return number or "–"
        return releases.get(number, f"nº {number} (apagada)") if number else "–"

    if entry.action == "threshold":
        return entry.before, f"{entry.after} ({release(entry.version)})"
    return release(entry.before), release(entry.after)
