"""Score a sheet through the proxy's API, without sending names or registration numbers.

An entity is sent as its pseudonym, or not at all without `PSEUDONYM_KEY`. Labels are never sent.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.contract.pseudonym import pseudonym
from core.errors import ProjectError
from core.messages import N_, _
from core.sheets import Result, ScoredSheet, Sheet, Unscored
from mlflow_project.dataset.risk import ENTITY, LABEL_NAME, SCORE_NAME

CHUNK = 200
"""Children per request, below every default limit of a proxy."""
TIMEOUT_SECONDS = 120.0
UNPROCESSABLE = 422


class ApiError(ProjectError):
    """The API cannot be reached or its response is not as expected."""

    code = "api"
    message = N_("the API at {url} does not answer: {reason}")


class RequestRefused(ApiError):
    """The API returned an error status; `details` are its problems, by instance."""

    message = N_("the API at {url} answered {status}: {reason}")

    def __init__(self, details: Sequence[Mapping[str, Any]], **facts: Any) -> None:
        """Keep the details."""
        super().__init__(**facts)
        self.details = details


class ProxyApi:
    """Client of a proxy's API."""

    def __init__(self, url: str, key: str = "") -> None:
        """Store the base URL and the API key, if any."""
        self.url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the JSON response to a GET, or to a POST of a body.

        Raises:
            ApiError: there is no JSON response, or it is an error (`RequestRefused`).
        """
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(self.url + path, data, self._headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as exc:
            details, reason = _told(exc)
            raise RequestRefused(details, url=self.url, status=exc.code, reason=reason) from exc
        except (OSError, ValueError) as exc:
            reason = str(getattr(exc, "reason", exc))
            raise ApiError(url=self.url, reason=reason) from exc
        return found


def _told(exc: urllib.error.HTTPError) -> tuple[list[dict[str, Any]], str]:
    """Return details and message of an error response."""
    try:
        error = json.load(exc)["error"]
        return list(error["details"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return [], str(exc.reason)


def score_sheet(api: ProxyApi, sheet: Sheet, key: str) -> ScoredSheet:
    """Return the sheet with a result for each row that the served version accepts.

    Args:
        api: scores, and captures with the role `batch` and the sheet's year as period.
        sheet: rows and their labels.
        key: for pseudonyms; if empty, no entity is sent.

    Raises:
        ApiError: the API fails, or the served version changes between requests.
    """
    metadata = api.call("/metadata")
    known = {feature["name"] for feature in metadata["features"]}
    kept, results, unscored = [], [], list(sheet.unscored)
    for start in range(0, len(sheet.rows), CHUNK):
        places = list(range(start, min(start + CHUNK, len(sheet.rows))))
        fit, answered, refused = _score(api, sheet, places, known, key)
        if answered and answered["model_version"] != metadata["model_version"]:
            raise ApiError(url=api.url, reason=_("another version is served now; repeat the list"))
        kept += fit
        results += [
            Result(one[SCORE_NAME], one[LABEL_NAME], one.get("explanation", ()))
            for one in answered.get("predictions", [])
        ]
        unscored += [Unscored(sheet.labels[place], why) for place, why in refused.items()]
    rows, labels = [sheet.rows[i] for i in kept], [sheet.labels[i] for i in kept]
    return ScoredSheet(
        replace(sheet, rows=rows, labels=labels, unscored=unscored),
        results,
        model_name=metadata["model_name"],
        release=metadata["model_version"],
        threshold=metadata["threshold"],
        when=datetime.now(UTC),
    )


def _score(
    api: ProxyApi, sheet: Sheet, places: list[int], known: set[str], key: str
) -> tuple[list[int], dict[str, Any], dict[int, str]]:
    """Score rows in one request; return valid positions, response and reasons of the others.

    The API refuses a request for one invalid row and names it: the row is removed and the request
    repeated.
    """
    refused: dict[int, str] = {}
    while places:
        instances = [instance(sheet.rows[place], sheet.year, known, key) for place in places]
        try:
            body = {"instances": instances, "explain": True}
            return places, api.call("/predict/batch", body), refused
        except RequestRefused as exc:
            wrong = {d["instance"]: d for d in exc.details if d.get("instance") is not None}
            if exc.facts["status"] != UNPROCESSABLE or not wrong:
                raise
            refused |= {places[i]: f"{d['field']}: {d['problem']}" for i, d in wrong.items()}
            places = [place for i, place in enumerate(places) if i not in wrong]
    return [], {}, refused


def instance(row: Mapping[str, Any], year: int | None, known: set[str], key: str) -> dict[str, Any]:
    """Return the instance to send for a row: the version's inputs, the year in their names.

    An input without a value is sent as null, so that every name of the instance states the year.
    """
    suffix = "" if year is None else f"_{year}"
    sent = {f"{name}{suffix}": value for name, value in row.items() if name in known}
    person = row.get(ENTITY)
    return {**sent, ENTITY: pseudonym(str(person), key)} if person and key else sent
