"""`make services`: systemd's own checks of the units, and the commands that they run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitoring.routines import ROUTINES
from scripts.services import main, units
from scripts.starting.addresses import Options
from scripts.starting.units import Place, service, timer
from tests.live import ROOT, clean_environment

ANALYZE = shutil.which("systemd-analyze")
OPTIONS = Options("127.0.0.1", 8123, 5123, 2, None)
systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def written(folder: Path, user: str = "") -> list[str]:
    """Write the units; return their paths."""
    texts = units(OPTIONS, user)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [str(folder / name) for name in texts]


@systemd
@pytest.mark.parametrize("user", ["", "daemon"], ids=["user", "system"])
def test_systemd_takes_the_units(tmp_path: Path, user: str) -> None:
    """`systemd-analyze verify` reports nothing: no unknown setting, no missing program."""
    manager = ["--user"] if not user else []
    command = [str(ANALYZE), *manager, "verify", *written(tmp_path, user)]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    ours = [line for line in done.stderr.splitlines() if "risco" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@systemd
def test_systemd_calls_the_machines_units_well_hardened(tmp_path: Path) -> None:
    """Each service has an exposure of at most 3; a unit without hardening has about 10."""
    for path in written(tmp_path, "daemon"):
        if path.endswith(".service"):
            command = [str(ANALYZE), "security", "--offline=true", "--threshold=30", path]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_each_routine_has_a_service_and_a_timer_at_its_time() -> None:
    """Each routine has a service and a timer, with the containers' command and time."""
    texts = units(OPTIONS)
    assert len(texts) == 2 + 2 * len(ROUTINES)
    for routine in ROUTINES:
        name = f"risco-{routine.name.replace(' ', '-')}"
        command = shlex.join([sys.executable, "-m", routine.module, *routine.arguments])
        assert f" {command}\n" in texts[f"{name}.service"]
        hour, minute = int(routine.when["hour"]), int(routine.when["minute"])
        assert f"{hour:02}:{minute:02}:00\n" in texts[f"{name}.timer"]
    assert "OnCalendar=Mon *-*-* 06:30:00\n" in texts["risco-weekly-drift.timer"]
    assert "OnCalendar=*-*-01 07:00:00\n" in texts["risco-monthly-drift.timer"]


def test_servers_listen_where_the_settings_say_and_need_no_mlflow_to_start() -> None:
    """The API only `Wants` MLflow, since it can serve its local copy without it."""
    texts = units(OPTIONS)
    api, mlflow = texts["risco-api.service"], texts["risco-mlflow.service"]
    assert "--port 8123 --workers 2" in api and "MLFLOW_TRACKING_URI=http://127.0.0.1:5123" in api
    assert "--port 5123" in mlflow and "--host 127.0.0.1" in mlflow
    assert "--upgrade-only" in re.findall("^ExecStartPre=.*$", mlflow, re.MULTILINE)[0]
    assert "Wants=risco-mlflow.service" in api
    assert not re.search("Requires=|BindsTo=", api)


@systemd
def test_a_folder_with_odd_signs_is_taken_literally(tmp_path: Path) -> None:
    """Spaces, percent signs, dollars and quotes reach the process as they are."""
    odd = tmp_path / 'a "b" $HOME 100%n'
    odd.mkdir()
    place = Place(str(odd), {"A": "x y%h"})
    path = tmp_path / "risco-odd.service"
    path.write_text(service(place, "100 %", ["/bin/echo", str(odd)]), encoding="utf-8")
    done = subprocess.run(
        [str(ANALYZE), "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert "risco-odd" not in done.stderr, done.stderr
    line = re.findall("^ExecStart=(.*)$", path.read_text("utf-8"), re.MULTILINE)[0]
    words = shlex.split(line.replace("%%", "%").replace("$$", "$"))
    assert words == ["/usr/bin/env", "A=x y%h", "/bin/echo", str(odd)]
    assert timer("t", {"hour": "3", "minute": "0"}).count("[") == 3


def test_units_are_written_where_systemd_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`install --to` writes all units to a folder; `remove --to` deletes them and nothing else."""
    (tmp_path / "other.service").write_text("")
    assert main(["install", "--system", "--to", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("risco-*"))) == 2 + 2 * len(ROUTINES)
    assert main(["remove", "--system", "--to", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["other.service"]
    assert str(tmp_path) in capsys.readouterr().out


def test_routines_are_listed_for_other_schedulers() -> None:
    """`--json` lists each routine with its module and its time."""
    command = [sys.executable, "-m", "monitoring.routines", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=clean_environment()
    )
    found = json.loads(done.stdout)
    assert [one["module"] for one in found] == [routine.module for routine in ROUTINES]
    assert found[0]["when"] == {"hour": "3", "minute": "0"}
