"""What a person may ask for: to be forgotten, and to know what is stored (LGPD, art. 18).

The identity becomes a pseudonym at once; neither is printed, logged or written anywhere.
"""

import os
import sys
from pathlib import Path

from core.contract.pseudonym import pseudonym
from core.store.erasure import count, erase, find
from core.store.filesystem import Store
from core.store.row_filters import OfPerson
from monitoring.command import say
from monitoring.errors import MonitoringError
from monitoring.privacy import exporting
from monitoring.tracking.jobs import JobRegistry

DRY = "Nada foi mudado; acrescente --apply para fazer."
EXIT_LEFT = 3
"""Exit code when new rows of the person came while the old ones were removed."""


class NoKeyError(MonitoringError):
    """Without the key nobody can be found."""

    def __init__(self) -> None:
        """Say which key."""
        super().__init__(
            "PSEUDONYM_KEY não está definida: defina a mesma chave que a API usa. Se a API nunca "
            "teve uma, nenhuma identidade foi guardada e não há o que procurar."
        )


def forget(store: Store, identity: str, apply: bool) -> int:
    """Remove one person's rows; a code of its own says that new ones came meanwhile."""
    rule = _person(identity)
    if not apply:
        found = count(store, rule)
        say(f"Linhas desta pessoa em {store}: {found.rows} ({found.where()}).", DRY)
        return 0
    with JobRegistry().run(None, "retention", "forget") as job:
        done = erase(store, rule)
        left = count(store, rule).rows
        job.log({"action": "forget"}, {**done.numbers(), "rows_left": left}, {})
    say(f"Linhas removidas de {store}: {done.rows} ({done.where()}).")
    if left:
        say(f"Chegaram {left} linhas novas desta pessoa enquanto isso: pare de enviá-la e repita.")
    else:
        say("Conferido: nenhuma linha desta pessoa restou.")
    say(_elsewhere(store), f"Run no MLflow: {job.url}")
    return EXIT_LEFT if left else 0


def export(store: Store, identity: str, target: Path | None) -> int:
    """Write what is stored of one person, or only say how much it is."""
    rule = _person(identity)
    if target is None:
        found = count(store, rule)
        say(f"Linhas desta pessoa em {store}: {found.rows} ({found.where()}).")
        say("Nada foi gravado; acrescente --to ARQUIVO (.json, .csv ou .parquet) para gravar.")
        return 0
    exporting.check_format(target)
    with JobRegistry().run(None, "retention", "export") as job:
        rows = exporting.write(target, [table for _, table in find(store, rule)])
        job.log({"action": "export"}, {"rows_exported": rows}, {})
    say(f"{rows} linhas gravadas em {target}, que só este usuário lê.")
    say("São dados pessoais: entregue e apague.", f"Run no MLflow: {job.url}")
    return 0


def _person(text: str) -> OfPerson:
    """Return the rule for a person; `-` reads who it is from standard input."""
    key = os.environ.get("PSEUDONYM_KEY", "")
    if not key:
        raise NoKeyError
    identity = sys.stdin.readline() if text == "-" else text
    if not identity.strip():
        raise MonitoringError("Nenhuma identificação foi dada.")
    return OfPerson(pseudonym(identity, key))


def _elsewhere(store: Store) -> str:
    """Say what this command cannot reach."""
    if store.folder is None:
        return (
            "Journals ficam na máquina de cada API: repita em cada uma. Num bucket com "
            "versionamento, as versões antigas dos objetos também guardam as linhas."
        )
    return (
        "Arquivos de resultados, planilhas e cópias de segurança não são vistos por este comando."
    )
