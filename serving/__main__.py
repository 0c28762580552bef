"""`python -m serving`: start the proxy."""

import argparse
import os
import signal
import socket
import sys
import tempfile
from typing import NoReturn

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_BACKLOG = 2048
_DRAIN_SECONDS = 30


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; return the exit code."""
    options = _parser().parse_args(arguments)
    # A small model gains nothing from more threads, and workers would fight over the cores. This
    # must be set before NumPy and scikit-learn are imported.
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    # Arrow's own allocator keeps what it once held; a worker's memory should stay flat.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from serving.config.settings import Settings
    from serving.errors import SettingsError

    try:
        Settings.from_env()
        sock = _listen(options.host, options.port)
    except SettingsError as exc:
        return _fail(f"configuração inválida: {exc}")
    except OSError as exc:
        where = f"{options.host}:{options.port}"
        return _fail(f"não é possível escutar em {where} ({exc.strerror}); use --host e --port")
    sys.stdout.write(f"API em http://{options.host}:{sock.getsockname()[1]} (Ctrl-C encerra)\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="serving-workers-") as folder:
        # Of this start and no other: counters begin at zero, as Prometheus expects.
        os.environ["WORKERS_DIR"] = folder
        _serve(sock, options.workers)
    return 0


def _serve(sock: socket.socket, workers: int) -> None:
    """Run the server on a listening socket until a signal ends it."""
    # The server raises its signal again after the shutdown; by then it only means "done".
    signal.signal(signal.SIGTERM, _exit)
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        "serving.app:app_from_environment",
        factory=True,
        workers=workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        backlog=_BACKLOG,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_worker_healthcheck=_DRAIN_SECONDS,
    )
    try:
        if workers > 1:
            Multiprocess(config, sockets=[sock]).run()
        else:
            uvicorn.Server(config).run(sockets=[sock])
    except KeyboardInterrupt:
        return


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket that worker processes inherit.

    Raises:
        OSError: the address is taken or does not exist.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.set_inheritable(True)
    return sock


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="API que serve a versão apontada pelo alias do modelo no MLflow e a segue.",
        epilog="As variáveis de ambiente estão em .env.example.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="endereço (padrão: %(default)s)")
    parser.add_argument("--port", default=8000, type=_port, help="porta (padrão: %(default)s)")
    parser.add_argument(
        "--workers", default=1, type=_positive, help="processos (padrão: %(default)s)"
    )
    return parser


def _port(text: str) -> int:
    if not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a porta vai de 0 a 65535")
    return int(text)


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("ao menos 1")
    return int(text)


def _exit(*_: object) -> NoReturn:
    sys.exit(0)


def _fail(message: str) -> int:
    sys.stderr.write(f"erro: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
