"""Build the Dockerfile without Docker and hold the result, in a mount namespace of its own.

`python image.py FOLDER` (as root, under `unshare --mount --pid --fork`) uses this machine's root
file system as the base image, mounts a writable layer over it for each stage (overlayfs, as Docker
does), and executes the instructions literally: COPY, RUN, ENV, WORKDIR, USER. The project's folder
is hidden meanwhile, so that only copied files can be used. Then it makes the last stage's root
read-only except /tmp and the volumes, prints `ready` and the stage's facts as JSON, and waits.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_IN_BASE = ("git", "gcc", "cc", "g++", "make", "curl", "java")
"""Programs of this machine that a slim base image does not have."""


@dataclass
class Stage:
    """A build stage: its mounted root, and the settings of its instructions."""

    name: str
    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    layers: list[Path] = field(default_factory=list)


def instructions(text: str) -> list[tuple[str, str]]:
    """Return pairs of instruction and arguments, with lines joined and comments removed."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [line.strip().split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(word.upper(), rest) for word, rest in found]


def mount(*arguments: str) -> None:
    """Run `mount`; raise CalledProcessError if it fails."""
    subprocess.run(["mount", *arguments], check=True)


def install_python(root: Path) -> None:
    """Install the base's `python`: this machine's, not the environment that runs the tests.

    A script, since a link in another folder would resolve another standard library. Its folders are
    made accessible to every user, as in the base image.
    """
    real = Path(sys._base_executable)  # type: ignore[attr-defined]
    for name in ("python", "python3"):
        target = root / "usr/local/bin" / name
        target.unlink(missing_ok=True)
        target.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
        target.chmod(0o755)
    for folder in (root / str(parent).lstrip("/") for parent in real.parents):
        folder.chmod(folder.stat().st_mode | 0o005)


def new_stage(name: str, folder: Path, parent: Stage | None) -> Stage:
    """Mount a new layer over this machine's root or a stage; the project's folder is hidden."""
    upper, work, root = (folder / name / part for part in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir(parents=True)
    layers = parent.layers if parent else []
    lower = ":".join(map(str, [*layers, "/"]))
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mount("-t", "overlay", "overlay", "-o", options, str(root))
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--bind", "/dev", f"{root}/dev")
    mount("-t", "tmpfs", "hidden", f"{root}{ROOT}")
    if parent:
        return replace(parent, name=name, root=root, env=dict(parent.env), layers=[upper, *layers])
    install_python(root)
    for program in NOT_IN_BASE:
        (root / "usr/bin" / program).unlink(missing_ok=True)
    path = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return Stage(name, root, path, layers=[upper])


def run(stage: Stage, command: list[str], user: str = "0:0") -> None:
    """Run a command in a stage's root and working directory."""
    inside = [
        "/usr/sbin/chroot",
        f"--userspec={user}",
        str(stage.root),
        "/usr/bin/env",
        "-C",
        stage.workdir,
    ]
    kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    subprocess.run([*inside, *command], env={**kept, **stage.env}, check=True)


def copy(stage: Stage, rest: str, stages: dict[str, Stage], context: Path) -> None:
    """Carry out COPY from the build context or from another stage."""
    words = shlex.split(rest)
    source_root = context
    if words[0].startswith("--from="):
        source_root = stages[words.pop(0).removeprefix("--from=")].root
    *sources, target = words
    place = stage.root / str(Path(stage.workdir) / target).lstrip("/")
    for source in (source_root / source.lstrip("/") for source in sources):
        if source.is_dir():
            # As Docker does: a folder's content is merged into the target.
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", f"{source}/.", str(place)], check=True)
        else:
            into = place / source.name if target.endswith("/") else place
            shutil.copy(source, into)


def build_context(folder: Path) -> Path:
    """Return a copy of the project with the files that .dockerignore allows."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    denied = [rule.removeprefix("**/") for rule in rules if rule[:1] not in ("!", "*", "")]
    denied += [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    context = folder / "context"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        inside = any(name == rule or name.startswith(f"{rule}/") for rule in allowed)
        if not (inside or any(fnmatch.fnmatch(name, rule) for rule in allowed)):
            continue
        if any(fnmatch.fnmatch(name, f"*{rule}*") for rule in denied):
            continue
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, context / name)
    return context


def apply(stage: Stage, word: str, rest: str, stages: dict[str, Stage], context: Path) -> None:
    """Carry out one instruction; raise SystemExit on an unknown one."""
    if word == "RUN":
        run(stage, ["/bin/sh", "-c", rest], stage.user)
    elif word == "COPY":
        copy(stage, rest, stages, context)
    elif word == "ENV":
        stage.env |= dict(re.findall(r"(\w+)=(\S+)", rest))
    elif word == "WORKDIR":
        stage.workdir = rest
        (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif word == "USER":
        stage.user = rest
    elif word == "CMD":
        stage.command = json.loads(rest)
    elif word == "HEALTHCHECK":
        stage.health = json.loads(rest[rest.index("[") :])
    elif word not in ("LABEL", "ARG", "EXPOSE"):
        raise SystemExit(f"Dockerfile: {word} is not known here")


def build(folder: Path) -> Stage:
    """Build every stage except the proxy's, which buildah builds; return the last one."""
    context = build_context(folder)
    stages: dict[str, Stage] = {}
    stage = None
    for word, rest in instructions((ROOT / "Dockerfile").read_text()):
        if word == "FROM":
            parent, _, name = rest.split()
            stage = None
            if not name.startswith("proxy"):
                stage = stages[name] = new_stage(name, folder, stages.get(parent))
        elif stage is not None:
            apply(stage, word, rest, stages, context)
    assert stage is not None
    return stage


def seal(stage: Stage, volumes: list[str]) -> None:
    """Make the root read-only, with tmpfs at /tmp and at each volume, owned as in the image."""
    for volume in volumes:
        place = stage.root / volume.lstrip("/")
        owner = place.stat()
        options = f"uid={owner.st_uid},gid={owner.st_gid},mode={owner.st_mode & 0o777:o}"
        mount("-t", "tmpfs", "-o", options, "volume", str(place))
    mount("-t", "tmpfs", "-o", "mode=1777", "tmp", f"{stage.root}/tmp")  # noqa: S108
    mount("-o", "remount,ro", str(stage.root))


def main() -> None:
    """Build, seal, print the facts, and keep the namespace until SIGTERM or SIGINT."""
    folder, volumes = Path(sys.argv[1]), sys.argv[2:]
    mount("--make-rprivate", "/")
    # In memory: several gigabytes that need no removal afterwards.
    mount("-t", "tmpfs", "layers", str(folder))
    stage = build(folder)
    seal(stage, volumes)
    facts = {k: getattr(stage, k) for k in ("env", "workdir", "user", "command", "health")}
    sys.stdout.write(json.dumps({"ready": True, "root": str(stage.root), **facts}) + "\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
