"""Notification of changes of a version's escalation, to the addresses in `NOTIFY_URLS`.

The last level sent is a tag of the version, so a message is sent once per change however often the
reports run, and the next report retries a failed one. A message holds releases, statuses and
commands; never a row, an identity, or an address it is sent to.
"""

import logging
import os

from core.contract import names
from core.messages import _
from core.registry.runs import OpenRun
from monitoring.tracking.escalation import Escalation
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion

_ORDER = ("NONE", "L1", "L2", "L3")


def notify(
    registry: JobRegistry,
    version: MonitoredVersion,
    run: OpenRun,
    escalation: Escalation,
    headline: str,
) -> str | None:
    """Send a message if the escalation has changed; tag the run with the outcome.

    The run's tag `notification` is `off` (no address), `unchanged`, `sent` or `failed`. A message
    that cannot be sent does not fail the job. Returns a line for the operator, or None.
    """
    addresses = os.environ.get("NOTIFY_URLS", "").strip()
    before = version.tags.get(names.TAG_NOTIFIED) or "NONE"
    if not addresses:
        outcome, line = "off", None
    elif not is_news(before, escalation):
        outcome, line = "unchanged", None
    elif _send(addresses, *message(version, escalation, headline, before, run.url)):
        registry.set_tag(version, names.TAG_NOTIFIED, escalation.level)
        outcome, line = "sent", _("Message sent (NOTIFY_URLS).")
    else:
        outcome = "failed"
        line = _(
            "Message not sent: check NOTIFY_URLS and the network. The next report tries again."
        )
    run.log({}, {}, {"notification": outcome})
    return line


def is_news(before: str, escalation: Escalation) -> bool:
    """Return whether an escalation must be sent, given the last level sent, `before`.

    A window without a drift verdict shows no recovery, so only one with a verdict lowers the level.
    """
    if escalation.level == before:
        return False
    lower = _ORDER.index(escalation.level) < _ORDER.index(before)
    return not (lower and escalation.drift_status in (None, "NO_DATA", "INCONCLUSIVE"))


def message(
    version: MonitoredVersion, escalation: Escalation, headline: str, before: str, url: str
) -> tuple[str, str]:
    """Return the message's title and text, in this process's language."""
    model, none = f"{version.name} {version.release}", _("no report")
    statuses = _(
        "Drift: {drift}. Performance: {performance}.",
        drift=escalation.drift_status or none,
        performance=escalation.performance_status or none,
    )
    lines = [headline, statuses]
    if escalation.level == "NONE":
        title = _("[OK] {model}: back to normal", model=model)
        lines.insert(0, _("The earlier message ({level}) no longer holds.", level=before))
    else:
        title = f"[{escalation.level}] {model}"
        lines += [_("Level before: {level}.", level=before)] if before != "NONE" else []
    lines += filter(None, [escalation.action, escalation.command])
    return title, "\n".join([*lines, _("Report in MLflow: {url}", url=url)])


def _send(addresses: str, title: str, body: str) -> bool:
    """Send to every address; return whether all of them accepted the message."""
    import apprise

    # Apprise logs addresses, which contain secrets.
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
