"""A small Unity Catalog: the endpoints for names, versions, tags and aliases that MLflow calls.

As Databricks' it rejects tags whose keys have one of the signs . , - = / : or whose values are
longer than 1,000 characters. Its search returns no tags and no aliases.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_ROOT = "/api/2.0/mlflow/unity-catalog/"
Versions = dict[int, dict[str, str]]


class Absent(Exception):
    """The requested object does not exist."""


class UnityServer:
    """Models by their full names: versions with their tags, and aliases."""

    def __init__(self) -> None:
        """Start to listen on a free port of loopback."""
        self.versions: dict[str, Versions] = {}
        self.aliases: dict[str, dict[str, int]] = {}
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                server.respond(self)

            do_GET = do_POST = do_DELETE = do_PATCH = _answer  # noqa: N815

            def log_message(self, *_args: Any) -> None:
                """Log nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve = self._http.serve_forever
        threading.Thread(target=serve, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Stop the server."""
        self._http.shutdown()
        self._http.server_close()

    def add(self, name: str, number: int, **tags: str) -> None:
        """Register a version."""
        self.versions.setdefault(name, {})[number] = tags
        self.aliases.setdefault(name, {})

    def respond(self, request: Any) -> None:
        """Answer one request, as JSON."""
        parts = urlsplit(request.path)
        length = int(request.headers.get("Content-Length") or 0)
        asked = dict(parse_qsl(parts.query)) | json.loads(request.rfile.read(length) or b"{}")
        path = parts.path.removeprefix(_ROOT)
        status, said = 200, {}
        if not parts.path.startswith(_ROOT):
            status, said = 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": parts.path}
        else:
            self.asked.append(f"{request.command} {path}")
            self.tokens.add(request.headers.get("Authorization", ""))
            try:
                said = self._do(request.command, path, asked)
            except ValueError as exc:
                status = 400
                said = {"error_code": "INVALID_PARAMETER_VALUE", "message": str(exc)}
            except (Absent, KeyError):
                status = 404
                said = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "does not exist"}
        content = json.dumps(said).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _do(self, method: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked.get("name", "")
        match method, path:
            case "GET", "registered-models/get":
                named = [{"alias": a, "version": str(n)} for a, n in self.aliases[name].items()]
                return {"registered_model": {"name": name, "aliases": named}}
            case "GET", "registered-models/search":
                return {"registered_models": [{"name": one} for one in self.versions]}
            case "GET", "model-versions/search":
                wanted = str(asked["filter"]).split("'")[1]
                found = [self._version(wanted, n, short=True) for n in self.versions[wanted]]
                return {"model_versions": found}
            case "GET", "model-versions/get":
                return {"model_version": self._version(name, int(asked["version"]))}
            case "GET", "registered-models/alias":
                number = self.aliases[name][asked["alias"]]
                return {"model_version": self._version(name, number)}
        self._change(method, path, name, asked)
        return {}

    def _change(self, method: str, path: str, name: str, asked: dict[str, Any]) -> None:
        match method, path:
            case "POST", "registered-models/alias":
                self.aliases[name][asked["alias"]] = int(asked["version"])
            case "DELETE", "registered-models/alias":
                del self.aliases[name][asked["alias"]]
            case "POST", "model-versions/set-tag":
                if set(asked["key"]) & set(".,-=/:") or len(asked["value"]) > 1000:
                    raise ValueError("no such tag")
                self.versions[name][int(asked["version"])][asked["key"]] = asked["value"]
            case "DELETE", "model-versions/delete-tag":
                del self.versions[name][int(asked["version"])][asked["key"]]
            case _:
                raise Absent

    def _version(self, name: str, number: int, short: bool = False) -> dict[str, Any]:
        tags = [{"key": k, "value": v} for k, v in self.versions[name][number].items()]
        pointing = [{"alias": a} for a, n in self.aliases[name].items() if n == number]
        told = {} if short else {"tags": tags, "aliases": pointing}
        return {
            "name": name,
            "version": str(number),
            "creation_timestamp": 1_700_000_000_000 + number,
            "source": f"models:/m-{number:032x}",
            "status": "READY",
            **told,
        }
