"""The message about a model's proxies: one sentence, the same on every page and command."""

from core.messages import N_, _, ngettext
from core.messages.formats import moment
from core.registry.proxies import Fleet, ProxyReport


def told(fleet: Fleet, release: str) -> str:
    """Return how many proxies serve a release, and which of them deviate and why, as text."""
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
    """Return a phrase for each proxy that deviates from serving the version."""
    refusing = [r for r in fleet.refusing if r not in fleet.adopted]
    behind = [r for r in fleet.following if r not in fleet.adopted and r not in refusing]
    pinned = [r for r in fleet.adopted if r.state.threshold]
    refuses = N_("{proxy} refuses it since {when} and serves {release}: {reason}")
    follows = N_("{proxy} follows the alias {alias} and serves {release}")
    return [
        *(_said(one, refuses, when=moment(one.since)) for one in refusing),
        *(_behind(one) for one in behind),
        *(_said(one, N_("{proxy} has THRESHOLD={value}")) for one in pinned),
        *(text for one in fleet.following for text in _canary(one)),
        *(_said(one, follows) for one in fleet.others),
        *(
            _said(r, N_("{proxy} not heard of since {when}"), when=moment(r.seen))
            for r in fleet.silent
        ),
    ]


def _said(report: ProxyReport, text: str, **facts: str) -> str:
    """Return a message about a proxy; `facts` extend or override those of its report."""
    state = report.state
    own = {
        "proxy": state.proxy,
        "alias": state.alias,
        "release": state.release or _("no version"),
        "reason": state.reason or state.code,
        "value": state.threshold,
    }
    return _(text, **{**own, **facts})


def _behind(report: ProxyReport) -> str:
    text = _said(report, N_("{proxy} still serves {release}"))
    return f"{text} ({report.state.reason})" if report.state.reason else text


def _canary(report: ProxyReport) -> list[str]:
    state = report.state
    release = state.canary_release or state.canary
    if state.canary_stopped:
        text = N_("{proxy} stopped the canary {release}: {reason}")
        return [_said(report, text, release=release, reason=state.canary_stopped)]
    if state.canary_refused:
        text = N_("{proxy} refuses the canary {release}: {reason}")
        return [_said(report, text, release=release, reason=state.canary_refused)]
    return []
