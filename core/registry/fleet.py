"""What a person is told about the proxies of a model: one sentence, the same at every place."""

from core.messages import _, ngettext
from core.messages.formats import moment
from core.registry.proxies import Fleet, ProxyReport, ProxyState


def told(fleet: Fleet, release: str) -> str:
    """Return how many proxies serve a release, and all that do anything else, and why."""
    everyone, adopted = len(fleet.following), len(fleet.adopted)
    if not everyone:
        first = _("no proxy reports that it follows the alias")
    else:
        first = ngettext(
            "{adopted} of {n} proxy serves {release}",
            "{adopted} of {n} proxies serve {release}",
            everyone,
            adopted=adopted,
            release=release,
        )
    return "; ".join([first, *departures(fleet)])


def departures(fleet: Fleet) -> list[str]:
    """Return what each proxy that does not simply serve the version does instead."""
    refusing = [r for r in fleet.refusing if r not in fleet.adopted]
    behind = [r for r in fleet.following if r not in fleet.adopted and r not in refusing]
    return [
        *(_refuses(one) for one in refusing),
        *(_behind(one) for one in behind),
        *(_pinned(one.state) for one in fleet.adopted if one.state.threshold),
        *(text for one in fleet.following for text in _canary(one.state)),
        *(_elsewhere(one.state) for one in fleet.others),
        *(_silent(one) for one in fleet.silent),
    ]


def _serves(state: ProxyState) -> str:
    return state.release or _("no version")


def _refuses(report: ProxyReport) -> str:
    state = report.state
    return _(
        "{proxy} refuses it since {when} and serves {release}: {reason}",
        proxy=state.proxy,
        when=moment(report.since),
        release=_serves(state),
        reason=state.reason or state.code,
    )


def _behind(report: ProxyReport) -> str:
    facts = {"proxy": report.state.proxy, "release": _serves(report.state)}
    text = _("{proxy} still serves {release}", **facts)
    return f"{text} ({report.state.reason})" if report.state.reason else text


def _pinned(state: ProxyState) -> str:
    return _("{proxy} has THRESHOLD={value}", proxy=state.proxy, value=state.threshold)


def _canary(state: ProxyState) -> list[str]:
    facts = {"proxy": state.proxy, "release": state.canary_release or state.canary}
    if state.canary_stopped:
        text = state.canary_stopped
        return [_("{proxy} stopped the canary {release}: {reason}", reason=text, **facts)]
    if state.canary_refused:
        text = state.canary_refused
        return [_("{proxy} refuses the canary {release}: {reason}", reason=text, **facts)]
    return []


def _elsewhere(state: ProxyState) -> str:
    return _(
        "{proxy} follows the alias {alias} and serves {release}",
        proxy=state.proxy,
        alias=state.alias,
        release=_serves(state),
    )


def _silent(report: ProxyReport) -> str:
    return _(
        "{proxy} not heard of since {when}", proxy=report.state.proxy, when=moment(report.seen)
    )
