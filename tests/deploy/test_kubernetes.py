"""deploy/kubernetes: valid by Kubernetes' own schemas, confined, with the routines' schedules."""

import shutil
import subprocess
from importlib.util import find_spec
from typing import Any

import pytest
import yaml

from monitoring.routines import ROUTINES
from serving.config.settings import Settings
from tests.live import ROOT

FOLDER = ROOT / "deploy/kubernetes"
FIELDS = ("minute", "hour", "day", "month", "day_of_week")
NOT_SETTINGS = {"TZ"}


def documents() -> list[dict[str, Any]]:
    """Return the resources as written, before kustomize."""
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["resources"]
    assert {path.name for path in FOLDER.iterdir()} == {*listed, "kustomization.yaml"}
    texts = [(FOLDER / name).read_text("utf-8") for name in listed]
    return [found for text in texts for found in yaml.safe_load_all(text)]


@pytest.fixture(scope="module")
def built() -> list[dict[str, Any]]:
    """Return the resources as kustomize renders them."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl, which brings kustomize")
    command = ["kubectl", "kustomize", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def validate(resource: dict[str, Any]) -> None:
    """Validate a resource by the schema of its kind; an unknown property is an error."""
    import kubernetes_validate  # type: ignore[import-not-found,unused-ignore]

    newest = kubernetes_validate.latest_version()
    kubernetes_validate.validate(resource, newest, strict=True)


@pytest.mark.skipif(not find_spec("kubernetes_validate"), reason="pip install kubernetes-validate")
def test_the_files_follow_the_schemas() -> None:
    """Each resource as written is valid; one with a misspelt property is not."""
    for resource in documents():
        validate(resource)
    wrong = documents()[0]
    wrong["spec"]["selectors"] = wrong["spec"].pop("selector")
    with pytest.raises(Exception, match="selectors"):
        validate(wrong)


@pytest.mark.skipif(not find_spec("kubernetes_validate"), reason="pip install kubernetes-validate")
def test_what_kustomize_makes_follows_the_schemas(built: list[dict[str, Any]]) -> None:
    """Each resource that kustomize renders is valid, with patches, ConfigMap and labels."""
    for resource in built:
        validate(resource)


def test_every_pod_is_confined(built: list[dict[str, Any]]) -> None:
    """Each pod runs without root and capabilities, on a read-only root, with a memory limit."""
    pods = [pod for resource in built if (pod := pod_of(resource))]
    assert len(pods) == 2 + len(ROUTINES)
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            proxy = container["name"] == "proxy"
            assert container["image"] == f"risco-defasagem{'-proxy' if proxy else ''}:local"
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            claims = {"data"} if proxy else set()
            assert mounted <= {volume["name"] for volume in pod["volumes"]} | claims


def pod_of(resource: dict[str, Any]) -> dict[str, Any] | None:
    """Return a resource's pod spec; None if it has none."""
    spec = resource.get("spec", {})
    if resource["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    found: dict[str, Any] | None = spec.get("template", {}).get("spec")
    return found


def test_each_routine_has_its_cron_job() -> None:
    """Each routine has a CronJob of its command and time; retraining is manual, so suspended."""
    jobs = {r["metadata"]["name"]: r["spec"] for r in documents() if r["kind"] == "CronJob"}
    assert jobs.pop("retrain")["suspend"] is True
    found = {
        name: (spec["schedule"], spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0])
        for name, spec in jobs.items()
    }
    for routine in ROUTINES:
        schedule, container = found.pop(routine.name.replace(" ", "-"))
        assert schedule == " ".join(str(routine.when.get(name, "*")) for name in FIELDS)
        assert container["command"] == ["python", "-m", routine.module, *routine.arguments]
    assert not found


def test_settings_are_those_of_the_code() -> None:
    """Each name in the ConfigMap is a setting of the proxy; others would have no effect."""
    made = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    given = {text.partition("=")[0] for text in made["configMapGenerator"][0]["literals"]}
    assert given - NOT_SETTINGS <= {name.upper() for name in Settings.model_fields}


def test_what_prometheus_and_the_probes_ask_is_there() -> None:
    """The probes request /health and /ready; Prometheus' annotation has the container's port."""
    (proxy,) = [r for r in documents() if r["kind"] == "StatefulSet"]
    template = proxy["spec"]["template"]
    container = template["spec"]["containers"][0]
    paths = {
        container[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "liveness", "readiness")
    }
    assert paths == {"/health", "/ready"}
    port = container["ports"][0]["containerPort"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == str(port) == "8000"
