"""`pull`, `build`, `push`: an image made by buildah in three containers, of which the one that runs the Dockerfile's
commands has no password, no token and nothing that the other two would execute."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from ferryml.runner.dockerfile import base_images
from ferryml.runner.errors import error_lines
from ferryml.runner.pod import LAST_WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

CODE = "ImageBuildFailed"
LOCAL = "localhost/ferry-build:latest"
"""Name of what is built, in the builder's own storage."""
ARCHIVE = "image.tar"
MOST = 3500
"""Bytes of last words; the kubelet keeps 4096."""
NO_SPACE = "No space left on device"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_WORTHLESS = re.compile(r'^(?:time="|Error: )?(?:level=\w+ )?(?:exit status \d+|\d+)?"?$')


class Failed(Exception):
    """In words, what did not work."""


def main(verb: str, plan: dict[str, Any], work: str, words: str = LAST_WORDS) -> int:
    """One of the three; exit code 0, or 1 with `{code, message}` as the container's last words."""
    os.umask(0o022)
    for name in ("home", "tmp", "run"):
        os.makedirs(os.path.join(work, name), exist_ok=True) if verb != "push" else None
    try:
        _check_password()
        said = {"pull": _pull, "build": _build, "push": _push}[verb](plan["build"], work)
    except Failed as error:
        print(f"ferry: {error}", flush=True)
        _last_words(words, {"code": CODE, "message": str(error)})
        return 1
    _last_words(words, said)
    return 0


def _check_password() -> None:
    path = os.environ.get("REGISTRY_AUTH_FILE")
    if path and not os.path.exists(path):
        raise Failed("the Secret with the registry's password (build_secret of the site) is not there")


def source_of(image: str, told: dict[str, Any]) -> str:
    """Where an image is pulled from instead: the site's aliases first, then its registry for names that have none."""
    for pattern, target in told["aliases"].items():
        if pattern.endswith("*") and target.endswith("*") and image.startswith(pattern[:-1]):
            return str(target[:-1] + image[len(pattern) - 1 :])
        if pattern == image:
            return str(target)
    registry = told["image_registry"].rstrip("/")
    return image if _has_registry(image) or not registry else f"{registry}/{image}"


def registries(told: dict[str, Any]) -> str:
    """registries.conf: where short names are looked for, and which registry speaks plain HTTP."""
    lines = ['unqualified-search-registries = ["docker.io"]', 'short-name-mode = "permissive"']
    for host in told["insecure"]:
        lines += ["[[registry]]", f"location = {json.dumps(host)}", "insecure = true"]
    return "\n".join([*lines, ""])


def reason_of(log: str, step: str) -> str:
    """First error lines of a build: what the command that failed printed, then which one it was."""
    lines = [line for line in error_lines(log) if not _WORTHLESS.match(line.strip())]
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            steps = [line.strip() for line in file if line.startswith("STEP ")]
    except OSError:
        steps = []
    where = f"{step} failed at {steps[-1]}" if steps else f"{step} failed"
    return "; ".join([where, *dict.fromkeys(line.strip() for line in lines)])


def _pull(told: dict[str, Any], work: str) -> dict[str, str]:
    with open(os.path.join(told["context"], told["dockerfile"]), encoding="utf-8", errors="replace") as file:
        images = base_images(file.read())
    for image in images:
        source = source_of(image, told)
        print(f"ferry: pulling {source}", flush=True)
        _buildah(told, work, "pull", [*_certificates(told), source], f"pulling the base image {source}")
        if source != image:
            _buildah(told, work, "tag", [source, _full(image)], f"naming the base image {image}")
    return {}


def _build(told: dict[str, Any], work: str) -> dict[str, str]:
    argv = [
        "--isolation", "chroot", "--format", "docker", "--pull=missing",
        "--file", os.path.join(told["context"], told["dockerfile"]), "--tag", LOCAL, *_certificates(told),
        *_pip(told, work), told["context"],
    ]  # fmt: skip
    _buildah(told, work, "build", argv, "the build")
    archive = os.path.join(work, ARCHIVE)
    _buildah(told, work, "push", ["--quiet", LOCAL, f"docker-archive:{archive}:{LOCAL}"], "saving the image")
    return {}


def _push(told: dict[str, Any], work: str) -> dict[str, str]:
    """The archive comes from a container whose commands anyone may have written: it is read, never executed."""
    image, digests = told["image"], os.path.join(told["tmp"], "digest")
    options = ["--dest-tls-verify=false"] if told["insecure"] else []
    options += [f"--dest-cert-dir={told['certificates']}"] if told["certificates"] else []
    archive = f"docker-archive:{os.path.join(work, ARCHIVE)}"
    print(f"ferry: pushing {image}", flush=True)
    argv = ["skopeo", "--insecure-policy", "--tmpdir", told["tmp"], "copy", "--quiet", *options]
    log = os.path.join(told["tmp"], "push.log")
    _run([*argv, f"--digestfile={digests}", archive, f"docker://{image}"], log, f"pushing {image}", {})
    with open(digests, encoding="ascii") as file:
        digest = file.read().strip()
    if not _DIGEST.fullmatch(digest):
        raise Failed(f"pushing {image} gave no digest")
    name = image.rpartition(":")[0]
    print(f"ferry: pushed {name}@{digest}", flush=True)
    return {"image": f"{name}@{digest}"}


def _full(image: str) -> str:
    """The name by which the builder looks a short one up."""
    if _has_registry(image):
        return image
    return f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}"


def _has_registry(image: str) -> bool:
    """As `compile.kubernetes.images.has_registry`, which is not at hand in a pod."""
    first, slash, _ = image.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def _certificates(told: dict[str, Any]) -> list[str]:
    return [f"--cert-dir={told['certificates']}"] if told["certificates"] else []


def _pip(told: dict[str, Any], work: str) -> list[str]:
    """Packages come through the gateway: nothing else is reached from here."""
    if not told["index"]:
        return []
    path = os.path.join(work, "pip.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"[global]\nindex-url = {told['index']}\ntimeout = 60\n")
    return ["--volume", f"{path}:/etc/pip.conf:ro"]


def _buildah(told: dict[str, Any], work: str, verb: str, argv: Sequence[str], purpose: str) -> None:
    conf = os.path.join(work, "registries.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(registries(told))
    env = {
        "HOME": os.path.join(work, "home"), "TMPDIR": os.path.join(work, "tmp"), "BUILDAH_ISOLATION": "chroot",
        "XDG_RUNTIME_DIR": os.path.join(work, "run"), "CONTAINERS_REGISTRIES_CONF": conf, "STORAGE_DRIVER": "vfs",
    }  # fmt: skip
    root = ["--root", os.path.join(work, "storage"), "--runroot", os.path.join(work, "run", "storage")]
    _run(["buildah", *root, "--storage-driver", "vfs", verb, *argv], os.path.join(work, f"{verb}.log"), purpose, env)


def _run(argv: Sequence[str], log: str, purpose: str, env: dict[str, str]) -> None:
    """What it prints goes to our own output, and into a file of which the reason is made."""
    with open(log, "wb") as file:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **env}
        )
        assert process.stdout is not None  # noqa: S101  a pipe was asked for
        with process.stdout:
            for line in process.stdout:
                file.write(line)
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        code = process.wait()
    if code:
        raise Failed(reason_of(log, purpose))


def _last_words(path: str, said: dict[str, str]) -> None:
    text = json.dumps(said)
    while len(text.encode()) > MOST:
        said = {**said, "message": said["message"][: len(said["message"]) * 3 // 4]}
        text = json.dumps(said)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text if said else "")
    except OSError:
        print("ferry: the container's last words cannot be kept", flush=True)
