"""Exit with 0 when a URL returns 200: the containers' health check (a slim image has no curl)."""

import sys
import urllib.request

TIMEOUT_SECONDS = 4


def main(url: str) -> int:
    """Return 0 when `url` returns 200 within `TIMEOUT_SECONDS`, else 1."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return int(answer.status != 200)
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
