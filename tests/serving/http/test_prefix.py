"""The proxy under a path prefix, behind nginx with TLS and accessed directly."""

import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.live import ROOT, eventually

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
OPENSSL = shutil.which("openssl")
KEY = {"X-API-Key": "open sesame"}


def linked(page: str) -> set[str]:
    """Return the URLs in a page's tags and in the script of Swagger UI."""
    found = re.findall(r"""(?:href|src)="([^"#]+)|url: '([^']+)'""", page)
    return {one or other for one, other in found}


@pytest.fixture(scope="module")
def behind(
    proxy: Any, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[httpx.Client]:
    """Yield a client of the example's nginx configuration, with a self-signed certificate."""
    if NGINX is None or OPENSSL is None:
        pytest.skip("neither nginx nor openssl may be missing (Debian: nginx-light, openssl)")
    folder = tmp_path_factory.mktemp("nginx")
    names = ["-subj", "/CN=ong.example", "-addext", "subjectAltName=DNS:ong.example,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    make = [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(make, check=True, capture_output=True)
    port, plain = free_port(), free_port()
    example = (ROOT / "examples/nginx.conf").read_text("utf-8")
    for before, after in (
        ("127.0.0.1:8000", str(proxy.http.base_url.netloc, "ascii")),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("/etc/ssl/ong.example", str(folder)),
    ):
        assert before in example
        example = example.replace(before, after)
    places = "".join(
        f"{kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"error_log {folder}/error.log; pid {folder}/pid; daemon off; events {{}}\n"
    whole += f"http {{ access_log off;\n{places}{example} }}\n"
    (folder / "nginx.conf").write_text(whole)
    process = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "e")])
    trust = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    try:
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust, timeout=20) as client:

            def listens() -> bool:
                assert process.poll() is None, (folder / "error.log").read_text()
                try:
                    return client.get("/risco/health").status_code == 200
                except httpx.TransportError:
                    return False

            eventually(listens, 60)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def test_pages_behind_nginx_lead_to_each_other(behind: httpx.Client) -> None:
    """Links of panel, runbook, `/docs` and `/lista` stay under the prefix and return 200."""
    front = behind.get("/", follow_redirects=True)
    assert front.url.path == "/risco/painel"
    for start in ("painel", "docs", "lista", "runbook", "runbook/docs/migrating.md"):
        page = behind.get(f"/risco/{start}")
        assert page.status_code == 200, start
        for link in linked(page.text):
            address = page.url.join(link)
            if address.host == page.url.host and address.port == page.url.port:
                assert address.path.startswith("/risco/"), link
                assert behind.get(address).status_code == 200, link


def test_the_documentation_behind_nginx_tries_out_under_the_prefix(behind: httpx.Client) -> None:
    """The OpenAPI document names the prefix as its server, and requests there are scored."""
    document = behind.get("/risco/openapi.json").json()
    assert document["servers"] == [{"url": "/risco"}]
    answer = behind.post("/risco/predict", json={"instances": [ROW]})
    assert answer.json()["model_version"] == "v1.2.0"


def test_a_prefix_that_is_left_on_is_taken_off(start: Callable[..., Any], proxy: Any) -> None:
    """With ROOT_PATH, routes, keys and log work with and without the prefix."""
    from serving.config.settings import Settings

    keys = Settings(api_keys="open sesame").api_keys  # type: ignore[arg-type]
    ours = start(proxy.settings.model_name, root_path="/risco", api_keys=keys).wait_ready()
    for path in ("/risco/predict", "/predict"):
        assert ours.http.post(path, json={"instances": [ROW]}).status_code == 401
        asked = ours.http.post(path, json={"instances": [ROW]}, headers=KEY)
        assert asked.status_code == 200
        assert ours.http.get("/riscos/health", headers=KEY).status_code == 404
    page = ours.http.get("/risco/docs", headers=KEY).text
    assert {"/risco/openapi.json", "/risco/static-offline-docs/swagger-ui.css"} <= linked(page)
    eventually(lambda: len([1 for line in ours.log() if line.get("path") == "/predict"]) == 4)


@pytest.mark.parametrize(
    "sent",
    [
        *("//evil.example", "/a//b", "risco", "/<b>", "/a'+alert(1)+'", "/", "", "/a b", "/é"),
        *("/" + "a" * 65, "/a" * 9, "javascript:alert(1)"),
    ],
)
def test_what_is_no_path_is_no_prefix(proxy: Any, sent: str) -> None:
    """An invalid X-Forwarded-Prefix, which any client may send, leaves the page unchanged."""
    headers = [(b"x-forwarded-prefix", sent.encode())]
    page = proxy.http.get("/docs", headers=headers)
    assert page.status_code == 200
    plain = proxy.http.get("/docs").text
    assert page.text == plain
    valid = proxy.http.get("/docs", headers=[(b"x-forwarded-prefix", b"/risco")]).text
    assert "/risco/openapi.json" in linked(valid) - linked(plain)


def test_documentation_and_runbook_take_the_key_as_a_password(
    start: Callable[..., Any], proxy: Any
) -> None:
    """Pages and their files accept the key as a Basic password; `/predict` does not.

    Otherwise another site could make the browser send its credentials to `/predict`.
    """
    from serving.config.settings import Settings

    keys = Settings(api_keys="open sesame").api_keys  # type: ignore[arg-type]
    ours = start(proxy.settings.model_name, api_keys=keys).wait_ready()
    for path in ("/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css", "/runbook",
                 "/runbook/docs/images/painel.png", "/painel", "/lista"):  # fmt: skip
        refused = ours.http.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic")
        assert ours.http.get(path, auth=("anyone", "open sesame")).status_code == 200
    asked = ours.http.post("/predict", json={"instances": [ROW]}, auth=("x", "open sesame"))
    assert asked.status_code == 401
