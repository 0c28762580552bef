"""`python -m serving`: start the proxy."""

import argparse
import os
import re
import signal
import socket
import sys
from contextlib import suppress

from core.cli.arguments import EXIT_FAILED, complain, parser, run_command, say
from core.messages import _
from core.messages.system import system_reason

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_DRAIN_SECONDS = 30


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal stops the server; return the exit code."""
    options = _parser().parse_args(arguments)
    # A small model gains nothing from more threads, and workers would compete for the cores. Must
    # be set before NumPy and scikit-learn are imported.
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    # Arrow's default allocator retains freed memory; a worker's memory should stay flat.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int | None:
    from core.files.scratch import scratch_folder
    from serving.config.settings import Settings
    from serving.http.connections import room_for

    wanted = Settings.from_env().max_connections
    connections, backlog = room_for(wanted)
    if connections < wanted:
        text = _(
            "the limit of open files leaves room for {n} of {wanted} connections (ulimit -Hn)",
            n=connections,
            wanted=wanted,
        )
        complain(text)
    try:
        sock = _listen(options.host, options.port, backlog)
    except OSError as exc:
        facts = {"where": f"{options.host}:{options.port}", "reason": system_reason(exc)}
        complain(_("cannot listen on {where} ({reason}); use --host and --port", **facts))
        return EXIT_FAILED
    url = f"http://{options.host}:{sock.getsockname()[1]}"
    say(_("API at {url} (Ctrl-C ends it)", url=url))
    with scratch_folder("serving-workers") as folder:
        # A new folder per start, so that counters begin at zero, as Prometheus expects.
        os.environ["WORKERS_DIR"] = str(folder)
        if not os.environ.get("PROXY_NAME"):
            host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:70]
            os.environ["PROXY_NAME"] = f"{host}:{sock.getsockname()[1]}"
        _serve(sock, options.workers, backlog)
    return None


def _serve(sock: socket.socket, workers: int, backlog: int) -> None:
    """Run the server on a listening socket until a signal ends it."""
    # uvicorn raises the signal again after a graceful shutdown; the exit code must then be 0.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(0))
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from serving.http.connections import KEEP_ALIVE_SECONDS, LimitedProtocol

    config = uvicorn.Config(
        "serving.app:app_from_environment",
        factory=True,
        workers=workers,
        loop="uvloop",
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        backlog=backlog,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=int(KEEP_ALIVE_SECONDS),
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_worker_healthcheck=_DRAIN_SECONDS,
    )
    with suppress(KeyboardInterrupt):
        if workers > 1:
            Multiprocess(config, sockets=[sock]).run()
        else:
            uvicorn.Server(config).run(sockets=[sock])


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a listening socket that worker processes inherit; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    sock.set_inheritable(True)
    return sock


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "serving",
        _("API that serves the version named by the model's alias in MLflow, and follows it."),
        epilog=_("The environment variables are listed in .env.example."),
    )
    made.add_argument("--host", default="127.0.0.1", help=_("address (default: %(default)s)"))
    made.add_argument("--port", default=8000, type=_port, help=_("port (default: %(default)s)"))
    made.add_argument(
        "--workers", default=1, type=_positive, help=_("processes (default: %(default)s)")
    )
    return made


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(_("a port lies between 0 and 65535"))
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(_("at least 1"))
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
