"""Cause one of the runbook's symptoms on purpose (RUNBOOK §9), on a system made for rehearsing.

Its requests are served, captured and counted like any client's, so it connects to this machine
only; use it only where the inference store is not needed.
"""

import argparse
import json
import random
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.cli.arguments import Parser, parser, run_command, say
from core.errors import ProjectError
from core.messages import N_, _

Facts = dict[str, Any]
Rows = list[dict[str, Any]]
SEED = 1
PER_REQUEST = 50
YELLOW_MISSING = 0.075
"""Share of rows that lose a value: between the runbook's 5 % (YELLOW) and 10 % (RED)."""
BAD_REQUESTS = 60
HEAVY_REQUESTS, HEAVY_ROWS, HEAVY_AT_ONCE = 48, 1000, 8


class LocalApi:
    """Client of the API on this machine."""

    def __init__(self, url: str) -> None:
        """Keep the API's address.

        Raises:
            ProjectError: it is on another machine.
        """
        if urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ProjectError(N_("a drill talks only to an API of this machine"))
        self._url = url.rstrip("/")

    def features(self) -> dict[str, Facts]:
        """Return the served version's features by name.

        Raises:
            ProjectError: no API responds there, or it has no version.
        """
        status, body = self._ask("/metadata")
        if status != 200:
            message = N_("the API at {url} cannot say what it serves (HTTP {status}); see /health")
            raise ProjectError(message, url=self._url, status=status)
        return {feature["name"]: feature for feature in json.loads(body)["features"]}

    def post(self, instances: Rows, **more: Any) -> int:
        """Request predictions; return the status code.

        Raises:
            ProjectError: no API responds there.
        """
        return self._ask("/predict", {"instances": instances, **more})[0]

    def _ask(self, path: str, body: Any = None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(self._url + path, data, timeout=120) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as exc:
            return exc.code, b""
        except OSError as exc:
            message = N_("no API answers at {url}; start it (make up), or correct --url")
            raise ProjectError(message, url=self._url) from exc

    def post_all(self, rows: Rows) -> Counter[int]:
        """Send rows in requests of `PER_REQUEST`; return the count of each status code."""
        starts = range(0, len(rows), PER_REQUEST)
        return Counter(self.post(rows[start : start + PER_REQUEST]) for start in starts)


def read_rows(path: Path, names: Iterable[str]) -> Rows:
    """Return the features of a dataset's newest year, shuffled; a baseline is of one year, too.

    Raises:
        ProjectError: there is no Parquet file that can be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as exc:
        message = N_("{path} is not a Parquet file that can be read; make_dataset writes one")
        raise ProjectError(message, path=path) from exc
    if "reference_year" in table.column_names:
        newest = pc.max(table["reference_year"])
        table = table.filter(pc.equal(table["reference_year"], newest))
    rows: Rows = table.select([n for n in names if n in table.column_names]).to_pylist()
    random.Random(SEED).shuffle(rows)  # noqa: S311
    return rows


def usual(api: LocalApi, rows: Rows, _feature: Facts) -> Counter[int]:
    """Send the rows as they are."""
    return api.post_all(rows)


def red(api: LocalApi, rows: Rows, feature: Facts) -> Counter[int]:
    """Send the rows with one feature stuck at its lowest value, as from a broken source."""
    return api.post_all([{**row, feature["name"]: feature["min"]} for row in rows])


def yellow(api: LocalApi, rows: Rows, feature: Facts) -> Counter[int]:
    """Send the rows with one feature missing a little more often than usual."""
    name = feature["name"]
    known = [row for row in rows if row.get(name) is not None]
    for row in known[: round(YELLOW_MISSING * len(rows))]:
        row[name] = None
    return api.post_all(rows)


def errors(api: LocalApi, _rows: Rows, _feature: Facts) -> Counter[int]:
    """Send requests with a field that no version has."""
    return Counter(api.post([{"campo_inexistente": 1}]) for _number in range(BAD_REQUESTS))


def latency(api: LocalApi, rows: Rows, _feature: Facts) -> Counter[int]:
    """Send many of the most expensive requests at once: a thousand rows, each explained."""
    heavy = (rows * (HEAVY_ROWS // len(rows) + 1))[:HEAVY_ROWS]
    with ThreadPoolExecutor(HEAVY_AT_ONCE) as pool:
        jobs = [pool.submit(api.post, heavy, explain=True) for _number in range(HEAVY_REQUESTS)]
        return Counter(job.result() for job in jobs)


DRILLS: dict[str, tuple[Callable[[LocalApi, Rows, Facts], Counter[int]], tuple[str, ...]]] = {
    "normal": (usual, ("rows",)),
    "vermelho": (red, ("rows", "feature")),
    "amarelo": (yellow, ("rows", "feature")),
    "erros": (errors, ()),
    "latencia": (latency, ("rows",)),
}
"""The drills by name, each with the options that it needs."""


def build_parser() -> Parser:
    """Return the command's parser."""
    arguments = parser(
        "scripts.drill", _("Cause a symptom of the RUNBOOK on purpose, on a system for rehearsing.")
    )
    arguments.add_argument("drill", choices=DRILLS, help=_("the symptom"))
    arguments.add_argument(
        "--url", default="http://127.0.0.1:8000", help=_("address of the API (%(default)s)")
    )
    arguments.add_argument(
        "--rows", type=Path, help=_("rows to send (a .parquet file of make_dataset)")
    )
    arguments.add_argument("--feature", help=_("the feature that suffers (vermelho, amarelo)"))
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one drill; return the exit code."""
    arguments = build_parser()
    args = arguments.parse_args(argv)
    for name in DRILLS[args.drill][1]:
        if getattr(args, name) is None:
            arguments.error(_("{drill} needs {option}", drill=args.drill, option="--" + name))
    return run_command(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Run the drill and print the count of each status code.

    Raises:
        ProjectError: the served version does not have the feature to be changed.
    """
    api, (drill, needed) = LocalApi(args.url), DRILLS[args.drill]
    features = api.features() if needed else {}
    if "feature" in needed and args.feature not in features:
        message = N_("the served version has no feature {name}; it has {known}")
        raise ProjectError(message, name=args.feature, known=", ".join(features))
    rows = read_rows(args.rows, features) if needed else []
    answered = drill(api, rows, features.get(args.feature, {}))
    told = ", ".join(f"{times} × {status}" for status, times in sorted(answered.items()))
    say(f"{args.drill}: {told}")


if __name__ == "__main__":
    sys.exit(main())
