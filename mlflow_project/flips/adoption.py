"""Wait after a flip until the proxies that report to MLflow serve the version."""

import time

from core.contract import names
from core.messages import N_
from core.mlflow_client.errors import RegistryError, VersionRefused
from core.registry.fleet import told
from core.registry.proxies import Fleet, fleet_of, read_reports
from core.registry.versions import Registry

_LOOK_SECONDS = 0.5


class NotAdopted(RegistryError):
    """The flip is done, but not all known proxies serve the version."""

    code = "not_adopted"
    exit_code = 3
    message = N_("{release} is the champion, and not everywhere in service: {told}")


def wait_until_adopted(registry: Registry, seconds: float) -> str:
    """Return the proxies' status as text once all known followers of `champion` serve it.

    Raises:
        NotAdopted: a proxy refused it, `seconds` have passed, or no proxy reports at all.
        AliasMissing: there is no champion.
    """
    version = registry.at_alias(names.CHAMPION)
    until = time.monotonic() + seconds
    while True:
        fleet = fleet_of(read_reports(registry), names.CHAMPION, version.number)
        if fleet.complete:
            return told(fleet, version.release)
        if _settled(fleet) or time.monotonic() >= until:
            raise NotAdopted(release=version.release, told=told(fleet, version.release))
        time.sleep(_LOOK_SECONDS)


def _settled(fleet: Fleet) -> bool:
    """Return whether each proxy has adopted or refused the version, so no change is pending."""
    refused = [r for r in fleet.refusing if r.state.code == VersionRefused.code]
    return bool(fleet.following) and len(fleet.adopted) + len(refused) == len(fleet.following)


def proxies_told(registry: Registry) -> str:
    """Return in one sentence which proxies serve the champion."""
    champion = registry.by_alias(names.CHAMPION)
    number, release = (champion.number, champion.release) if champion else (None, "–")
    return told(fleet_of(read_reports(registry), names.CHAMPION, number), release)
