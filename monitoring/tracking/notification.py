"""Telling people when a version's escalation changes, by the addresses in `NOTIFY_URLS`.

What people were last told stands on the version, so a message goes out once per change however
often the reports run, and one that could not be sent is tried again by the next report. A message
holds releases, statuses and commands; never a row, a person, or an address it went to.
"""

import logging
import os

from core.contract import names
from core.registry.runs import OpenRun
from monitoring.tracking.escalation import Escalation
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion

_NOT_SENT = "Aviso não enviado: confira NOTIFY_URLS e a rede. O próximo relatório tenta de novo."
_ORDER = ("NONE", "L1", "L2", "L3")


def notify(
    registry: JobRegistry,
    version: MonitoredVersion,
    run: OpenRun,
    escalation: Escalation,
    headline: str,
) -> str | None:
    """Send a message if the escalation has changed; tag the run with what became of it.

    The run's tag `notification` says `off` (no address), `unchanged`, `sent` or `failed`. A message
    that cannot be sent fails nothing. Returns a line for the operator, or None.
    """
    addresses = os.environ.get("NOTIFY_URLS", "").strip()
    before = version.notified or "NONE"
    if not addresses:
        outcome, line = "off", None
    elif not is_news(before, escalation):
        outcome, line = "unchanged", None
    elif _send(addresses, *message(version, escalation, headline, before, run.url)):
        registry.set_tag(version, names.TAG_NOTIFIED, escalation.level)
        outcome, line = "sent", "Aviso enviado (NOTIFY_URLS)."
    else:
        outcome, line = "failed", _NOT_SENT
    run.log({}, {}, {"notification": outcome})
    return line


def is_news(before: str, escalation: Escalation) -> bool:
    """Tell whether people must hear of an escalation after they were told `before`.

    A window without answers shows no recovery: a lower level counts only where drift was measured.
    """
    if escalation.level == before:
        return False
    lower = _ORDER.index(escalation.level) < _ORDER.index(before)
    return not (lower and escalation.drift_status in (None, "NO_DATA"))


def message(
    version: MonitoredVersion, escalation: Escalation, headline: str, before: str, url: str
) -> tuple[str, str]:
    """Return title and text, in Portuguese."""
    model = f"{version.model_name} {version.release}"
    drift = escalation.drift_status or "sem relatório"
    performance = escalation.performance_status or "sem relatório"
    lines = [headline, f"Drift: {drift}. Desempenho: {performance}."]
    if escalation.level == "NONE":
        title = f"[OK] {model}: de volta ao normal"
        lines.insert(0, f"O aviso anterior ({before}) não vale mais.")
    else:
        title = f"[{escalation.level}] {model}"
        lines += [f"Nível anterior: {before}."] if before != "NONE" else []
    lines += filter(None, [escalation.action, escalation.command])
    return title, "\n".join([*lines, f"Relatório no MLflow: {url}"])


def _send(addresses: str, title: str, body: str) -> bool:
    """Send to every address; False unless all took it."""
    import apprise

    # Its own log names addresses, and those hold secrets.
    log = logging.getLogger("apprise")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    try:
        sender = apprise.Apprise()
        understood = bool(sender.add(addresses))
        return bool(sender.notify(title=title, body=body)) and understood
    except Exception:
        # A plugin may raise anything, and its text may hold an address.
        return False
