"""Caching of work that libraries repeat thousands of times in tests, with equal results.

Together this saves a tenth of the processor time of all tests.
"""

import sys
from functools import cache, partial

import yaml
from httpx._transports import default


def lighten() -> None:
    """Patch this process's libraries; call it before MLflow is imported."""
    # Each httpx client loads the machine's certificates, for plain HTTP too: 17 ms.
    default.create_ssl_context = cache(default.create_ssl_context)
    # MLflow parses the MLmodel file of each model by PyYAML's Python loader: 1 ms, in C an eighth.
    if yaml.__with_libyaml__:
        yaml.safe_load = partial(yaml.load, Loader=yaml.CSafeLoader)
    # Before each request MLflow's client searches the whole import path for these.
    for name in ("dbruntime", "IPython"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
