"""`/painel`: the operators' page, and the reports that it links to.

Endpoints are plain functions, so they run in the thread pool: calls to MLflow never block the event
loop. The page has no script, and its content security policy allows only its own style sheet.
"""

import re
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from core.contract import names
from core.messages import N_, _
from core.mlflow_client.errors import RegistryError, without_credentials
from core.registry.runs import run_file
from serving.deployment.deployment import Deployment
from serving.documents.markdown import linked, linked_page
from serving.errors import HistoryUnavailable, RouteError
from serving.http.pages import PAGE, REPORT_PATH, TextRoute, filled, page_answer
from serving.http.schemas import ModelState
from serving.http.status import model_of
from serving.metrics.counters import Metrics
from serving.panel import concerns
from serving.panel import content as panel
from serving.panel.background import BackgroundReader
from serving.panel.counts import counted
from serving.panel.gathering import gather
from serving.panel.history import History, ReportRun, read_history
from serving.panel.trend import cause_of, trend

_TEMPLATE = Path(__file__).with_name("templates") / "painel.html"
HISTORY_SECONDS, COUNT_SECONDS = 10.0, 60.0
"""Lifetimes, in seconds, of the cached history of MLflow and of the cached counts of the store."""
_LEAST_RENEWAL = 10
_LARGEST_REPORT = 5 * 1024 * 1024
_RUN_ID = re.compile("[0-9a-f]{32}")
_JOBS = (names.JOB_DRIFT, names.JOB_PERFORMANCE)
# A report's content is from anyone who may log a run: it gets no script and no origin.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


def panel_routes(
    deployment: Deployment, metrics: Metrics, others: Sequence[Deployment] = ()
) -> list[Route]:
    """Return the routes of a deployment's page, which links to those of `others`."""
    registry = deployment.registry
    history = BackgroundReader(
        lambda: read_history(registry),
        History(),
        N_("MLflow did not answer within {seconds} seconds"),
        HISTORY_SECONDS,
    )
    counts = BackgroundReader(
        lambda: counted(deployment), None, N_("still being counted"), COUNT_SECONDS
    )

    def page(request: Request) -> Response:
        counts.begin()
        facts = gather(deployment, metrics, history.latest(), counts.latest())
        renewed = _renewed(request.query_params.get("refresh", ""))
        text = render(facts, renewed, [model_of(one) for one in others])
        return page_answer(text)

    def report(request: Request) -> Response:
        job, run_id = request.path_params["job"], request.path_params["run_id"]
        if job not in _JOBS or not _RUN_ID.fullmatch(run_id):
            raise RouteError(404)
        experiment = names.monitoring_experiment(registry.name)
        try:
            page = run_file(registry, experiment, run_id, job, ".html", _LARGEST_REPORT)
        except RegistryError as exc:
            raise HistoryUnavailable from exc
        if page is None:
            raise RouteError(404)
        html = linked_page(page.decode("utf-8", "replace"), "../../runbook")
        return HTMLResponse(html, headers={"Content-Security-Policy": _REPORT_POLICY})

    summary = N_("A report, as its job kept it in MLflow")
    return [
        TextRoute(PAGE, page, "painel", N_("Page for those who operate the service")),
        TextRoute(REPORT_PATH, report, "relatorio", summary),
    ]


def _renewed(asked: str) -> int | None:
    """Return the page's refresh interval in seconds; None unless the query asks for one.

    There is none by default, since a refresh loses the reader's position on the page.
    """
    return max(int(asked), _LEAST_RENEWAL) if re.fullmatch(r"[0-9]{1,5}", asked) else None


def render(
    facts: panel.PanelFacts, renewed: int | None = None, others: Sequence[ModelState] = ()
) -> str:
    """Return the page as HTML."""
    history = facts.reading.value
    return filled(
        _TEMPLATE,
        facts=facts,
        others=others,
        health=facts.health,
        headline=concerns.headline(facts),
        concerns=concerns.concerns(facts),
        told=panel,
        sections=lambda text: linked(text, "runbook"),
        windows=[(_("Last hour"), facts.hour), (_("Last day"), facts.day)],
        verdicts=[
            (_("Drift"), *_verdict(facts, names.JOB_DRIFT)),
            (_("Performance"), *_verdict(facts, names.JOB_PERFORMANCE)),
        ],
        trend=trend(history.drift),
        reports=sorted(
            [*history.drift, *history.performance], key=attrgetter("when"), reverse=True
        ),
        links=Links(facts.mlflow_url, facts.model_name, facts.registry_url),
        cause=cause_of,
        names={names.JOB_DRIFT: _("drift"), names.JOB_PERFORMANCE: _("performance")},
        renewed=renewed,
        canary=facts.health.canary,
    )


def _verdict(facts: panel.PanelFacts, job: str) -> tuple[ReportRun | None, ReportRun | None]:
    """Return the newest conclusive report, else the newest; and a newer inconclusive one."""
    newest = next(iter(panel.finished(facts, job)), None)
    standing = panel.latest(facts, job) or newest
    return standing, newest if newest is not standing else None


class Links:
    """URLs of MLflow's pages; None where MLflow is no server that a browser could open."""

    def __init__(self, url: str, model: str, registry_url: str = "") -> None:
        """Take MLflow's URL, the model's name, and the registry's URL where it is another."""
        self._base = _page_of(url)
        models = _page_of(registry_url) if registry_url else self._base
        self.model = models and f"{models}/#/models/{quote(model, safe='')}"

    def version(self, number: int | None) -> str | None:
        """Return the URL of a version's page."""
        return self.model and f"{self.model}/versions/{number}"

    def run(self, report: ReportRun) -> str | None:
        """Return the URL of the page of a report's run."""
        place = f"{quote(report.experiment_id, safe='')}/runs/{quote(report.run_id, safe='')}"
        return self._base and f"{self._base}/#/experiments/{place}"

    def report(self, report: ReportRun) -> str:
        """Return the proxy's URL of the report itself, relative to the page."""
        return f"painel/{report.job}/{quote(report.run_id, safe='')}"


def _page_of(url: str) -> str | None:
    """Return a URL without credentials or a final slash; None where it is not HTTP."""
    address = without_credentials(url).rstrip("/")
    return address if urlsplit(url).scheme in ("http", "https") else None
