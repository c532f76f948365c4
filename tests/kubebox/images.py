"""Images without registry or daemon: a root folder becomes a docker-archive; buildah builds Containerfiles."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from kubebox.places import KubeboxError, digest, home, key

BASE = "docker.io/library/python:3.11-slim-bookworm"  # the public image that ours stands in for
PAUSE = "docker.io/kubebox/pause:1"
SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMIT_S = 900


def base_archive() -> Path:
    """The tar of the Debian + Python image, made or not."""
    return home() / "images" / f"python-{digest(BASE, SUITE, *PACKAGES, 'v1')}.tar"


def pause_archive() -> Path:
    """The tar of the image that holds a pod's namespaces, made or not."""
    return home() / "images" / f"pause-{key('pause')}.tar"


def make_pause(program: Path) -> Path:
    """One program in an image."""
    if not pause_archive().exists():
        root = home() / "images" / "pause-root"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        shutil.copy(program, root / "pause")
        archive(root, PAUSE, pause_archive(), ["/pause"])
        shutil.rmtree(root)
    return pause_archive()


def make_base() -> Path:
    """Debian with Python from Debian's packages, under the name of the public image of the same content."""
    if base_archive().exists():
        return base_archive()
    root = home() / "images" / "python-root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    include = f"--include={','.join(PACKAGES)}"
    _run(["debootstrap", "--variant=minbase", include, SUITE, str(root), *_mirror()], "debootstrap")
    for pattern in ("var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "usr/lib/python3*/EXTERNALLY-MANAGED"):
        for leftover in root.glob(pattern):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / folder, ignore_errors=True)
    (root / "usr/bin/python").symlink_to("python3")
    archive(root, BASE, base_archive(), ["python3"])
    shutil.rmtree(root)
    return base_archive()


def archive(root: Path, reference: str, target: Path, command: Sequence[str]) -> Path:
    """A root folder as a docker-archive of one layer."""
    target.parent.mkdir(parents=True, exist_ok=True)
    layer, draft = target.with_suffix(".layer"), target.with_suffix(".draft")
    _run(["tar", "-C", str(root), "--numeric-owner", "--sort=name", "-cf", str(layer), "."], "packing an image")
    with layer.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Cmd": list(command), "Env": [PATH]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{content}"]},
            "history": [{"created_by": "kubebox"}],
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(draft, "w") as tar:
        tar.add(layer, "layer.tar")
        for member, data in ((name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    layer.unlink()
    draft.rename(target)
    return target


def references(archive: Path) -> list[str]:
    """What the images of a docker-archive are called; nothing for archives of other kinds."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name == "manifest.json" and (file := tar.extractfile(member)):
                return [name for image in json.load(file) for name in image["RepoTags"] or ()]
    return []


def build(containerfile: Path, context: Path, reference: str, *arguments: str) -> Path:
    """Builds an ordinary Containerfile with buildah, `FROM` the base image of the public name; answers its tar."""
    _load_base()
    command = ["buildah", *_storage(), "build", "--isolation", "chroot", "--pull=never", "--layers"]
    _run([*command, *arguments, "--file", str(containerfile), "--tag", reference, str(context)], "buildah build")
    return save(reference)


def save(reference: str) -> Path:
    """The tar of an image in buildah's storage."""
    target = home() / "images" / "built" / f"{re.sub(r'[^a-zA-Z0-9.-]+', '-', reference)}.tar"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(f".{os.getpid()}")
    _run(["buildah", *_storage(), "push", reference, f"docker-archive:{draft}:{reference}"], "saving an image")
    draft.rename(target)
    return target


def _load_base() -> None:
    stamp = home() / "storage" / f"{base_archive().name}.loaded"
    if not stamp.exists():
        _run(["buildah", *_storage(), "pull", f"docker-archive:{make_base()}"], "loading the base image")
        stamp.touch()


def _storage() -> list[str]:
    root = home() / "storage"
    root.mkdir(parents=True, exist_ok=True)
    return ["--root", str(root / "root"), "--runroot", str(root / "run")]


def _mirror() -> list[str]:
    """Debian's mirror as this machine is configured; none on other distributions: debootstrap knows its own."""
    release = Path("/etc/os-release")
    if not release.exists() or "\nID=debian" not in f"\n{release.read_text()}":
        return []
    folder = Path("/etc/apt/sources.list.d")
    texts = [path.read_text() for path in [*sorted(folder.glob("*.sources")), *sorted(folder.glob("*.list"))]]
    listed = Path("/etc/apt/sources.list")
    return mirror_in("\n".join([*texts, listed.read_text() if listed.exists() else ""]))


def mirror_in(sources: str) -> list[str]:
    """The first mirror of the distribution itself (not of its security updates) in apt's sources."""
    for line in sources.splitlines():
        found = re.match(r"(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s+)?)(https?://\S+)", line)
        if found and "security" not in found.group(1):
            return [found.group(1)]
    return []


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _run(argv: list[str], purpose: str) -> str:
    argv = ["nice", "-n", "10", *argv]
    env = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-15:]
        raise KubeboxError(f"{purpose} failed:\n" + "\n".join(said))
    return done.stdout
