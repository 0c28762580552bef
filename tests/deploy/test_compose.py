"""docker-compose.yml: valid, closed by default, consistent with .env.example and the code."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.config.settings import Settings
from tests.live import ROOT

COMPOSE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / ".env.example"
CLIENTS = (["docker", "compose"], ["docker-compose"])
OURS = {
    "check",
    "upgrade",
    "mlflow",
    "setup",
    "datathon-api",
    "monitor",
    "retrain",
    "backup",
    "restore",
}
THEIRS = {"postgres", "s3", "dump", "prometheus", "grafana"}
OPTIONAL = {"retrain", "backup", "restore", "prometheus", "grafana"}
"""Services that only a profile starts."""
ONE_SHOT = {"check", "setup", "retrain", "dump", "upgrade", "backup", "restore"}


def services() -> dict[str, dict[str, Any]]:
    """Return the services as written, anchors merged, variables not yet filled in."""
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def example() -> dict[str, str]:
    """Return the variables of .env.example."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def answers(client: list[str]) -> bool:
    """Return whether a compose client is installed; Docker may be installed without it."""
    if shutil.which(client[0]) is None:
        return False
    return subprocess.run([*client, "version"], capture_output=True).returncode == 0


def config(folder: Path, env: str | None) -> subprocess.CompletedProcess[str]:
    """Run a compose client's `config` on the file, with this `.env`; skip without a client."""
    client = next((client for client in CLIENTS if answers(client)), None)
    if client is None:
        pytest.skip("no compose client (Debian: apt install docker-compose)")
    shutil.copy(COMPOSE, folder)
    if env is not None:
        (folder / ".env").write_text(env)
    clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [*client, "config"], cwd=folder, env=clean, capture_output=True, text=True
    )


def test_the_file_follows_the_compose_schema() -> None:
    """The file is valid by the published schema of the Compose Specification."""
    if find_spec("check_jsonschema") is None:
        pytest.skip("no check-jsonschema, which brings the compose schema (pip install it)")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(COMPOSE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_compose_client_reads_it_and_publishes_on_loopback_only(tmp_path: Path) -> None:
    """With the example's settings, only API and MLflow are published, on 127.0.0.1."""
    done = config(tmp_path, EXAMPLE.read_text())
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)["services"]
    assert set(read) >= (OURS | THEIRS) - OPTIONAL
    published = {name: s["ports"] for name, s in read.items() if s.get("ports")}
    # An old client lists the services of profiles, too.
    assert set(published) - OPTIONAL == {"datathon-api", "mlflow"}
    for name, port in (("datathon-api", 8000), ("mlflow", 5000)):
        (found,) = published[name]
        if isinstance(found, dict):
            found = f"{found['host_ip']}:{found['published']}:{found['target']}/tcp"
        assert found == f"127.0.0.1:{port}:{port}/tcp"


def test_a_compose_client_stops_where_there_is_no_env_file(tmp_path: Path) -> None:
    """Without `.env` the client fails and names .env.example, since no secret has a default."""
    done = config(tmp_path, None)
    assert done.returncode != 0
    assert ".env.example" in done.stderr


def test_every_service_is_confined() -> None:
    """Each service has a read-only root, no privileges, a memory limit; ours the image's user."""
    found = services()
    assert set(found) == OURS | THEIRS
    for name, service in found.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "mem_limit" in service, name
        assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), name
        assert "privileged" not in service, name
        assert not any("docker.sock" in str(v) for v in service.get("volumes", [])), name
    for name in OURS:
        assert "user" not in found[name], "the image says who"
    for name in THEIRS:
        assert found[name]["user"] not in ("root", "0"), name


def test_what_is_optional_needs_its_profile_and_stays_on_loopback() -> None:
    """Optional services need a profile, no service depends on them, and they bind to loopback."""
    found = services()
    assert {name for name in found if found[name].get("profiles")} == OPTIONAL
    for name, service in found.items():
        assert not set(service.get("depends_on", {})) & OPTIONAL, name
    published = [port for name in OPTIONAL for port in found[name].get("ports", [])]
    assert published == ["127.0.0.1:3000:3000"]
    for name in ("prometheus", "grafana"):
        for volume in found[name]["volumes"]:
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (ROOT / source).is_dir(), volume


def test_images_are_pinned_and_built_once() -> None:
    """Third-party images have a version; ours are the proxy's, and one for all other services."""
    found = services()
    for name in THEIRS:
        assert re.search(r":v?\d+\.\d+", found[name]["image"]), name
    assert len({found[name]["image"] for name in OURS - {"datathon-api"}}) == 1
    assert {found[name]["build"]["target"] for name in OURS - {"datathon-api"}} == {"app"}
    assert found["datathon-api"]["build"] == {"context": ".", "target": "proxy"}
    assert found["datathon-api"]["image"] not in {
        found[name]["image"] for name in ("mlflow", "monitor")
    }
    stages = re.findall(r"^FROM \S+ AS (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {"app", "proxy"} <= set(stages)
    assert stages[-1] == "app"


def test_nothing_starts_before_the_secrets_are_checked() -> None:
    """Each service depends on the success of `check`, directly or through other services."""
    found = services()

    def reached(name: str) -> set[str]:
        """Return the direct and indirect dependencies of a service."""
        direct = set(found[name].get("depends_on", {}))
        return direct.union(*(reached(other) for other in direct))

    for name in set(found) - {"check"}:
        assert "check" in reached(name), name
    for service in found.values():
        if "check" in service.get("depends_on", {}):
            assert service["depends_on"]["check"]["condition"] == "service_completed_successfully"


def test_servers_have_a_health_check() -> None:
    """The servers outside profiles have a health check, the proxy the same as its image."""
    found = services()
    assert {name for name in found if found[name].get("healthcheck", {}).get("test")} == {
        *("postgres", "s3", "mlflow", "datathon-api")
    }
    # Podman's builds omit the image's health check, so compose repeats it.
    probe = found["datathon-api"]["healthcheck"]
    (line,) = re.findall("^HEALTHCHECK (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert json.dumps(probe["test"][1:]) == line.partition("CMD ")[2]
    for name in ("interval", "timeout", "retries", "start_period"):
        assert f"--{name.replace('_', '-')}={probe[name]}" in line


def test_the_proxy_waits_for_no_mlflow() -> None:
    """The proxy depends on `check` only: it starts from its model cache without MLflow."""
    assert set(services()["datathon-api"]["depends_on"]) == {"check"}


def test_the_database_is_dumped_then_upgraded_before_mlflow_starts() -> None:
    """MLflow depends on the upgrade, that on the dump; both have the database's network only."""
    found = services()
    assert "upgrade" in found["mlflow"]["depends_on"]
    assert set(found["upgrade"]["depends_on"]) == {"dump"}
    assert set(found["dump"]["depends_on"]) == {"postgres"}
    assert found["dump"]["networks"] == found["upgrade"]["networks"] == ["database"]
    assert found["dump"]["image"] == found["postgres"]["image"]
    uri = found["upgrade"]["command"][-1]
    assert f"--backend-store-uri={uri}" in found["mlflow"]["command"]


def test_variables_of_example_and_compose_are_the_same() -> None:
    """Compose uses only variables of .env.example, and all of them except the listed ones."""
    text = COMPOSE.read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+)", text))
    documented = set(example())
    assert used <= documented, "say them in .env.example"
    set_by_compose = {
        *("MLFLOW_TRACKING_URI", "JOURNAL_DIR", "COMPACT_HOUR"),
        *("LOG_FILE", "MODEL_CACHE", "LEVELS_DIR"),
    }
    of_the_client = {"COMPOSE_PROJECT_NAME"}
    assert documented - used == set_by_compose | of_the_client, "pass them on in docker-compose.yml"


def test_defaults_of_example_and_compose_are_the_same() -> None:
    """A variable's default in compose is its value in .env.example."""
    text = COMPOSE.read_text(encoding="utf-8")
    shown = example()
    for name, default in set(re.findall(r"\$\{(\w+):-([^}]*)\}", text)):
        assert shown[name] == default, name


def test_the_proxy_gets_every_setting_it_reads() -> None:
    """The environment of the proxy's container has every setting of the proxy."""
    read = {name.upper() for name in Settings.model_fields}
    assert len(read) > 15
    assert read <= set(services()["datathon-api"]["environment"])


def test_secrets_go_only_where_they_are_used() -> None:
    """Each password is passed only to `check` and its users, and no secret has a literal value."""
    found = {name: str(service.get("environment", {})) for name, service in services().items()}
    holders = {
        secret: {name for name, text in found.items() if f"${{{secret}:?" in text}
        for secret in example()
        if example()[secret] == "change-me"
    }
    assert holders["POSTGRES_PASSWORD"] == {"check", "postgres", "dump", "upgrade", "mlflow"}
    assert holders["MLFLOW_ADMIN_PASSWORD"] == {"check", "mlflow", "setup"}
    assert holders["MLFLOW_SECRET_KEY"] == {"check", "mlflow"}
    assert holders["MLFLOW_JOBS_PASSWORD"] == {"check", "setup", "monitor", "retrain"}
    assert holders["MLFLOW_READER_PASSWORD"] == {"check", "setup", "datathon-api"}
    assert not re.search(
        r"(PASSWORD|SECRET_KEY|ACCESS_KEY)\w*: (?!\$\{\w+:\?)", COMPOSE.read_text()
    )


def test_mlflow_reads_the_auth_settings_as_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow parses the cache's lifetime and permission, and the database URI has no password."""
    from mlflow.server.auth.config import read_auth_config

    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(ROOT / "docker/basic_auth.ini"))
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", "from-the-environment")
    read = read_auth_config()
    assert read.auth_cache_ttl_seconds == 60
    assert read.default_permission == "READ"
    assert ":" not in read.database_uri.partition("//")[2].partition("@")[0]


def test_the_build_context_holds_no_data_and_no_secret() -> None:
    """The paths that .dockerignore allows are those that the Dockerfile copies, without `.env`."""
    rules = (ROOT / ".dockerignore").read_text().split()
    assert "*" in rules
    allowed = {rule[1:].removesuffix("/*.py") for rule in rules if rule.startswith("!")}
    assert ".env" not in allowed
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    # scripts/slim.py is also copied by itself: it runs in a stage without the rest of scripts/.
    assert {word for line in copied for word in line.split()} - {"scripts/slim.py"} == allowed
