"""What libraries do anew each time, and tests thousands of times, is done once; results are equal.

Together a tenth of the processor time of all tests.
"""

import sys
from functools import cache, partial

import yaml
from httpx._transports import default


def lighten() -> None:
    """Let this process's libraries remember; call it before MLflow is imported."""
    # Each client of httpx reads the machine's certificates, for plain HTTP too: 17 ms.
    default.create_ssl_context = cache(default.create_ssl_context)
    # MLflow reads the description of each model by the reader that is Python: 1 ms, in C an eighth.
    if yaml.__with_libyaml__:
        yaml.safe_load = partial(yaml.load, Loader=yaml.CSafeLoader)
    # Before each request MLflow's client looks for these along the whole path.
    for name in ("dbruntime", "IPython"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
