"""Builds Ferry's container images with buildah, as docker-archive tars under .cache/images, once for each content.

`images.py build [NAME...] [--tag T]` prints the tars; `images.py digest NAME` prints the key of the content.
pip's own configuration (index, certificate) is lent to the build as secrets: no layer and no history keeps it.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".cache" / "images"
BASE = "docker.io/library/python:3.11-slim-bookworm"
PACKAGE = ("pyproject.toml", "README.md", "LICENSE", "locks/build.txt", "src/ferryml")
INPUTS: dict[str, tuple[str, ...]] = {
    "agent": ("locks/agent.txt", *PACKAGE),
    "builder": ("src/ferryml/__init__.py", "src/ferryml/runner"),
    "router": ("locks/agent.txt", *PACKAGE),
    "runner": ("locks/uv.txt", "src/ferryml/__init__.py", "src/ferryml/runner"),
    "server": ("locks/server.txt", *PACKAGE),
}
LIMIT_S = 1200
KEPT = 2
"""Tars kept of each image: this one and the one before, for whoever still loads it."""


class BuildError(Exception):
    """An image cannot be built here; the text says why."""


def reference(name: str, tag: str = "latest") -> str:
    """The name under which a cluster knows the image."""
    return f"docker.io/library/ferry-{name}:{tag}"


def digest(name: str, base: str = "") -> str:
    """Of everything that goes into the image `name`, on a base image with the identifier `base`."""
    known = hashlib.sha256(base.encode())
    for file in [_containerfile(name), *_files(INPUTS[name])]:
        known.update(f"\0{file.relative_to(ROOT)}\0".encode())
        known.update(hashlib.sha256(file.read_bytes()).digest())
    return known.hexdigest()[:20]


def build(name: str, tag: str = "latest", base: Path | None = None) -> Path:
    """The image as a tar, built unless its content is unchanged. Raises `BuildError`.

    Args:
        base: a docker-archive that stands in for the base image; None: it is pulled when it is not here.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        archive = FOLDER / f"ferry-{name}-{tag}-{digest(name, _base(base))}.tar"
        if not archive.exists():
            _build(name, tag)
            draft = archive.with_suffix(".part")
            draft.unlink(missing_ok=True)
            _buildah("push", "--quiet", reference(name, tag), f"docker-archive:{draft}:{reference(name, tag)}")
            draft.rename(archive)
            _forget(name, tag)
        return archive


def _base(archive: Path | None) -> str:
    """The identifier of the base image, which is in buildah's storage afterwards."""
    stamp = FOLDER / "base"
    wanted = f"{archive.resolve()} {archive.stat().st_mtime_ns}" if archive else BASE
    if not stamp.exists() or stamp.read_text() != wanted:
        _buildah("pull", "--quiet", f"docker-archive:{archive}" if archive else BASE)
        stamp.write_text(wanted)
    return _buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", BASE).strip()


def _build(name: str, tag: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        secrets = list(_secrets(Path(folder)))
        _buildah(
            "build", "--quiet", "--isolation", "chroot", "--pull=never", "--layers", "--build-arg", f"BASE={BASE}",
            *secrets, "--file", str(_containerfile(name)), "--tag", reference(name, tag), str(ROOT),
        )  # fmt: skip


def _secrets(folder: Path) -> Iterator[str]:
    """What pip is configured with here, as files of one build."""
    said = _pip_configuration()
    certificate = said.pop("cert", "") or os.environ.get("SSL_CERT_FILE", "")
    lines = [f"{name} = {value}" for name, value in said.items()]
    if certificate and Path(certificate).is_file():
        lines.append("cert = /run/pip-ca.pem")
        yield f"--secret=id=ca,src={certificate}"
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    yield f"--secret=id=pip,src={folder / 'pip.conf'}"


def _pip_configuration() -> dict[str, str]:
    """Index, certificate and patience; folders of this machine mean nothing inside a build."""
    wanted = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "cert")
    program = ROOT / ".cache" / "uv" / "bin" / "python"
    argv = [str(program if program.exists() else Path(sys.executable)), "-m", "pip", "config", "list"]
    listed = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout
    said: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        name = key.replace(":env:.", "global.").rpartition(".")[2]
        if name in wanted:
            said[name] = value.strip().strip("'\"")
    return said


def _containerfile(name: str) -> Path:
    return ROOT / "deploy" / "images" / f"{name}.Containerfile"


def _files(places: tuple[str, ...]) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _forget(name: str, tag: str) -> None:
    tars = sorted(FOLDER.glob(f"ferry-{name}-{tag}-*.tar"), key=lambda tar: tar.stat().st_mtime, reverse=True)
    for tar in tars[KEPT:]:
        tar.unlink(missing_ok=True)


def _buildah(*argv: str) -> str:
    program = shutil.which("buildah")
    if program is None:
        raise BuildError("buildah is not installed")
    done = subprocess.run(
        ["nice", program, "--root", str(FOLDER / "storage"), "--runroot", str(FOLDER / "storage-run"), *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise BuildError(
            f"buildah {argv[0]} failed: {' / '.join((done.stderr or done.stdout).strip().splitlines()[-5:])}"
        )
    return done.stdout


def main(argv: list[str]) -> int:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verb", choices=["build", "digest"])
    parser.add_argument("names", nargs="*", choices=[*INPUTS, []], metavar="|".join(INPUTS))
    parser.add_argument("--tag", default="latest")
    parser.add_argument("--base", type=Path, help="docker-archive that stands in for the base image")
    asked = parser.parse_args(argv)
    try:
        for name in asked.names or INPUTS:
            print(build(name, asked.tag, asked.base) if asked.verb == "build" else digest(name))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
