"""Finds or installs the real servers that tests run against: PostgreSQL, an S3 server, a proxy, Kubernetes.

`ensure` writes one file per component under .cache/components, for which tests wait; one that cannot be had says why.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
STATES = CACHE / "components"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
OLDEST_POSTGRES = 15
OLDEST_GO = (1, 21)  # the first release that fetches a newer toolchain by itself when a module asks for one

CLUSTER_PROGRAMS = {  # program -> Debian package
    "conntrack": "conntrack",
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "nft": "nftables",
    "runc": "runc",
}
CNI = [Path(folder, "ptp") for folder in ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")]
ROOT_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

Paths = dict[str, str]


class MissingError(Exception):
    """A component is not here and cannot be installed; the text says why."""


def find_postgres() -> Paths:
    """The folder of initdb and postgres, of the newest release that is installed."""
    folders = [Path(p).parent for p in (shutil.which("postgres"),) if p]
    folders += Path("/usr/lib/postgresql").glob("*/bin")
    found = {_postgres_release(f): f for f in folders if (f / "postgres").exists() and (f / "initdb").exists()}
    if not found:
        raise MissingError("no PostgreSQL server is installed")
    newest = max(found)
    if newest < OLDEST_POSTGRES:
        raise MissingError(f"PostgreSQL {newest} is installed, {OLDEST_POSTGRES} or newer is needed")
    return {"bin": str(found[newest])}


def find_versitygw() -> Paths:
    """The S3 server, built into .cache/bin or already on PATH."""
    for candidate in (CACHE / "bin" / "versitygw", shutil.which("versitygw")):
        if candidate and Path(candidate).exists():
            return {"program": str(candidate)}
    raise MissingError("versitygw has not been built")


def find_squid() -> Paths:
    """The HTTP proxy; Debian keeps it where only root's PATH looks."""
    program = shutil.which("squid") or shutil.which("squid", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise MissingError("squid is not installed")
    return {"program": program}


def find_kubernetes() -> Paths:
    """What a cluster of tests/kubebox is made of: system programs, Kubernetes itself, its first images."""
    _only_root("clusters need network namespaces")
    missing = _cluster_packages()
    if missing:
        raise MissingError(f"packages are missing: {', '.join(missing)}")
    return _kubebox("find", "kubernetes")


def find_helm() -> Paths:
    """The real one, built."""
    return _kubebox("find", "helm")


def find_kwok() -> Paths:
    """Plays any number of nodes."""
    return _kubebox("find", "kwok")


def find_buildah() -> Paths:
    """Builds images, and carries them between archives and registries."""
    _only_root("building images needs mounts")
    return _on_path("buildah") | _on_path("skopeo")


def find_openmpi() -> Paths:
    """What starts the ranks of an MPI program."""
    return _on_path("mpirun")


def find_registry() -> Paths:
    """A registry of images."""
    return _on_path("docker-registry")


def install_kubernetes() -> None:
    """Packages, then a build of some minutes from Go modules at the lowest priority."""
    _only_root("clusters need network namespaces")
    missing = _cluster_packages()
    if missing:
        _apt(*missing)
    _kubebox("make", "kubernetes")


def install_buildah() -> None:
    """From the distribution."""
    _apt("buildah", "skopeo")


def install_openmpi() -> None:
    """From the distribution."""
    _apt("openmpi-bin")


def install_registry() -> None:
    """From the distribution."""
    _apt("docker-registry")


def find_haproxy() -> Paths:
    """The router of clusters; Debian keeps it where only root's PATH looks."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise MissingError("haproxy is not installed")
    return {"program": program}


def install_haproxy() -> None:
    """From the distribution; its own service is never started by us."""
    _apt("haproxy")


def install_postgres() -> None:
    """From the distribution, without a cluster of its own beside ours."""
    config = Path("/etc/postgresql-common/createcluster.conf")
    if os.geteuid() == 0 and not config.exists():
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("create_main_cluster = false\n")
    _apt("postgresql")


def install_squid() -> None:
    """From the distribution; tests start their own with their own configuration."""
    _apt("squid")


def find_inspecting_squid() -> Paths:
    """The same proxy linked with OpenSSL, which opens TLS; the package cannot be installed beside the other."""
    folder = CACHE / "squid-openssl" / "usr"
    program, maker = folder / "sbin" / "squid", folder / "lib" / "squid" / "security_file_certgen"
    find_squid()
    if not program.exists() or not maker.exists():
        raise MissingError("squid-openssl has not been unpacked")
    _run([str(program), "-v"], "asking squid-openssl for its version")
    return {"program": str(program), "certificate_maker": str(maker)}


def install_inspecting_squid() -> None:
    """From the distribution, unpacked below .cache; what it needs beside its libraries is the other package's."""
    install_squid()
    folder = CACHE / "squid-openssl"
    package = folder / "package"
    shutil.rmtree(folder, ignore_errors=True)
    package.mkdir(parents=True)
    if shutil.which("apt-get") is None:
        raise MissingError("package squid-openssl can be had on Debian or Ubuntu only")
    _run(["apt-get", "download", "-qq", "squid-openssl"], "fetching squid-openssl", cwd=package)
    _apt("libecap3")
    for archive in package.glob("*.deb"):
        _run(["dpkg", "-x", str(archive), str(folder)], "unpacking squid-openssl")
    shutil.rmtree(package)


def install_versitygw() -> None:
    """Built from its Go module; everything stays below .cache."""
    go = _go()
    env = os.environ | {
        "GOBIN": str(CACHE / "bin"),
        "GOPATH": str(CACHE / "gopath"),
        "GOCACHE": str(CACHE / "gobuild"),
        "GOFLAGS": "-modcacherw",
        "CGO_ENABLED": "0",
    }
    _run(["nice", go, "install", "-p", "1", VERSITYGW], "building versitygw", env=env)
    for leftover in ("gopath", "gobuild"):
        shutil.rmtree(CACHE / leftover, ignore_errors=True)


def _only_root(why: str) -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise MissingError(f"{why}, which only root on Linux may make")


def _cluster_packages() -> list[str]:
    missing = [package for program, package in CLUSTER_PROGRAMS.items() if not shutil.which(program, path=ROOT_PATH)]
    return missing if any(path.exists() for path in CNI) else [*missing, "containernetworking-plugins"]


def _on_path(program: str) -> Paths:
    found = shutil.which(program, path=ROOT_PATH)
    if found is None:
        raise MissingError(f"{program} is not installed")
    return {program: found}


def _make(name: str) -> None:
    _kubebox("make", name)


def _kubebox(verb: str, name: str) -> Paths:
    go = {"KUBEBOX_GO": _go()} if verb == "make" else {}
    done = subprocess.run(
        [sys.executable, "-m", "kubebox.build", verb, name],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")} | go,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    if done.returncode:
        raise MissingError((done.stderr.strip().splitlines() or ["its build failed"])[-1])
    paths: Paths = json.loads(done.stdout)
    return paths


def _go() -> str:
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", str(CACHE / "go" / "bin" / "go")):
        if candidate and Path(candidate).exists() and _go_release(candidate) >= OLDEST_GO:
            return candidate
    uv = CACHE / "uv" / "bin" / "uv"
    if not uv.exists():
        raise MissingError("Go is not installed, nor uv that could install it; run make setup")
    _run([str(uv), "venv", "--quiet", "--clear", str(CACHE / "go")], "making a place for Go")
    lock = str(ROOT / "locks" / "go.txt")
    place = ["--python", str(CACHE / "go" / "bin" / "python")]
    _run([str(uv), "pip", "install", "--quiet", *place, "--require-hashes", "-r", lock], "installing Go")
    return str(CACHE / "go" / "bin" / "go")


def _apt(*packages: str) -> None:
    names = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingError(f"package {names} is missing, and only root on Debian or Ubuntu can have it installed")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "-qq", "--no-install-recommends", *packages]
    try:
        _run(install, f"installing {names}", env=env)
    except MissingError:
        _run(["apt-get", "update", "-qq"], "refreshing the package lists", env=env)
        _run(install, f"installing {names}", env=env)


def _run(argv: list[str], purpose: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise MissingError(f"{purpose} failed: {' / '.join(last) or f'exit code {done.returncode}'}")
    return done.stdout


def _postgres_release(folder: Path) -> int:
    release = re.search(r"(\d+)", _run([str(folder / "postgres"), "--version"], "asking PostgreSQL for its version"))
    return int(release.group(1)) if release else 0


def _go_release(program: str) -> tuple[int, int]:
    release = re.search(r"go(\d+)\.(\d+)", _run([program, "version"], "asking Go for its version"))
    return (int(release.group(1)), int(release.group(2))) if release else (0, 0)


COMPONENTS: dict[str, tuple[Callable[[], Paths], Callable[[], None]]] = {
    "haproxy": (find_haproxy, install_haproxy),
    "postgres": (find_postgres, install_postgres),
    "squid": (find_squid, install_squid),
    "squid-openssl": (find_inspecting_squid, install_inspecting_squid),
    "openmpi": (find_openmpi, install_openmpi),
    "versitygw": (find_versitygw, install_versitygw),
    "kubernetes": (find_kubernetes, install_kubernetes),
    "helm": (find_helm, lambda: _make("helm")),
    "buildah": (find_buildah, install_buildah),
    "registry": (find_registry, install_registry),
    "kwok": (find_kwok, lambda: _make("kwok")),
}


def find(name: str) -> Paths:
    """What is here now; raises `MissingError`."""
    return COMPONENTS[name][0]()


def ensure(name: str) -> Paths:
    """What is here now, installed if need be; raises `MissingError`."""
    look, install = COMPONENTS[name]
    try:
        return look()
    except MissingError:
        install()
        return look()


def _ensure_and_tell(name: str) -> None:
    try:
        answer: dict[str, object] = {"paths": ensure(name)}
    except MissingError as error:
        answer = {"missing": str(error)}
    except (OSError, subprocess.SubprocessError) as error:
        answer = {"missing": f"installing it failed: {error}"}
    print(name, answer, flush=True)
    draft = STATES / f"{name}.tmp"
    draft.write_text(json.dumps(answer))
    draft.rename(STATES / f"{name}.json")


def _stop(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(os.getpgrp(), signal.SIGTERM)
    sys.exit(143)


def main(argv: list[str]) -> int:
    """`ensure [NAME...]`: install and tell the tests; `list`: say what is here."""
    if argv[:1] == ["list"]:
        for name in COMPONENTS:
            try:
                print(name, find(name))
            except MissingError as error:
                print(name, f"missing: {error}")
        return 0
    if argv[:1] != ["ensure"] or not set(argv[1:]) <= set(COMPONENTS):
        print(f"usage: components.py list | ensure [{'|'.join(COMPONENTS)}]...", file=sys.stderr)
        return 2
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # a group of our own, so that stopping us stops a build under way and nobody else
    signal.signal(signal.SIGTERM, _stop)
    STATES.mkdir(parents=True, exist_ok=True)
    for name in argv[1:] or COMPONENTS:
        _ensure_and_tell(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
