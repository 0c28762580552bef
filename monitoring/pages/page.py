"""What the pages share: templates, words for statuses, and how counts and times are written."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

import jinja2

from monitoring.pages.plots import number, percent

_TEMPLATES = Path(__file__).with_name("templates")

WORDS: Mapping[str, str] = {
    "GREEN": "Verde",
    "YELLOW": "Amarelo",
    "RED": "Vermelho",
    "NO_DATA": "Sem dados",
    "OK": "Desempenho mantido",
    "DEGRADED": "Desempenho pior",
}
"""Statuses of drift and of performance, as people read them."""


def counted(count: int, one: str, many: str) -> str:
    """Return a count with its noun, for example `1 linha` and `1.200 linhas`."""
    return f"{number(count, 0)} {one if count == 1 else many}"


def joined(words: Sequence[str]) -> str:
    """Return a list as a sentence has it: `a, b e c`."""
    *first, last = words
    return f"{', '.join(first)} e {last}" if first else last


def moment(value: datetime | str) -> str:
    """Return a time in the reader's zone."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.astimezone().strftime("%d/%m/%Y %H:%M")


def charts(run_url: str) -> str:
    """Return the address of all runs of a run's experiment, each metric drawn over time."""
    return f"{run_url.rsplit('/runs/', 1)[0]}/runs?compareRunsMode=CHART"


@cache
def template(name: str) -> jinja2.Template:
    """Return a template; what it shows is escaped, and a name it does not know is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, moment=moment)
    environment.filters.update(counted=counted, charts=charts)
    environment.globals.update(words=dict(WORDS))
    return environment.get_template(name)
