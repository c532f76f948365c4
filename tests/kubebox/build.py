"""Builds the programs of a cluster from their Go modules, once for each content of sources and versions.

`python -m kubebox.build find|make kubernetes|helm|kwok` prints the paths as JSON, or one line that says why not.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubebox import images
from kubebox.places import COREDNS, HELM, KUBERNETES, KWOK, SOURCES, KubeboxError, home, program

BUILD_LIMIT_S = 1700
SISTERS = f"v0.{KUBERNETES.split('.', 1)[1]}"
VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
GO_MOD = {
    "kubernetes": f"""module kubebox

go 1.24.0

require (
	github.com/spf13/cobra v1.9.1
	go.etcd.io/etcd/server/v3 v3.6.4
	k8s.io/component-base {SISTERS}
	k8s.io/kubectl {SISTERS}
	k8s.io/kubernetes v{KUBERNETES}
)
""",
    "coredns": f"module coredns\n\ngo 1.25.0\n\nrequire github.com/coredns/coredns v{COREDNS}\n",
    "pause": "module pause\n\ngo 1.21\n",
}
INSTALLED = {"helm": f"helm.sh/helm/v3/cmd/helm@v{HELM}", "kwok": f"sigs.k8s.io/kwok/cmd/kwok@v{KWOK}"}
WANTED = {"kubernetes": ("kubernetes", "coredns", "pause"), "helm": ("helm",), "kwok": ("kwok",)}


def find(name: str) -> dict[str, str]:
    """Paths of what `name` stands for; raises KubeboxError when something is not built."""
    paths = {wanted: program(wanted) for wanted in WANTED[name]}
    if name == "kubernetes":
        paths |= {"pause_image": images.pause_archive(), "base_image": images.base_archive()}
    missing = [label for label, path in paths.items() if not path.exists()]
    if missing:
        raise KubeboxError(f"not built: {', '.join(missing)}")
    return {label: str(path) for label, path in paths.items()}


def make(name: str) -> dict[str, str]:
    """The same, built if need be; two that build at once wait for each other."""
    with _locked():
        for wanted in WANTED[name]:
            if not program(wanted).exists():
                _build(wanted)
        if name == "kubernetes":
            images.make_pause(program("pause"))
            images.make_base()
    return find(name)


def replacements(go_mod: str) -> str:
    """A `replace` block for the sister modules of k8s.io/kubernetes, which it replaces by folders it does not carry."""
    names = sorted(set(re.findall(r"^\s+(k8s\.io/\S+) =>", go_mod, re.M)))
    return "\nreplace (\n" + "".join(f"\t{name} => {name} {SISTERS}\n" for name in names) + ")\n"


def _build(name: str) -> None:
    go, target = _go(), program(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kubebox-build-") as folder:
        if name in INSTALLED:
            _run([go, "install", "-trimpath", "-ldflags", "-s -w", INSTALLED[name]], folder, GOBIN=folder)
            _place(Path(folder) / name, target)
            return
        shutil.copytree(SOURCES / name, folder, dirs_exist_ok=True)
        (Path(folder) / "go.mod").write_text(GO_MOD[name])
        flags = "-s -w"
        if name == "kubernetes":
            _add_replacements(go, Path(folder))
            flags += _version_flags()
        if name != "pause":
            _run([go, "mod", "tidy"], folder, GOFLAGS="-mod=mod")
        _run([go, "build", "-trimpath", "-ldflags", flags, "-o", name, "."], folder)
        _place(Path(folder) / name, target)


def _add_replacements(go: str, folder: Path) -> None:
    told = _run([go, "mod", "download", "-json", f"k8s.io/kubernetes@v{KUBERNETES}"], str(folder))
    with (folder / "go.mod").open("a") as file:
        file.write(replacements(Path(json.loads(told)["GoMod"]).read_text()))


def _version_flags() -> str:
    major, minor, _ = KUBERNETES.split(".")
    said = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return "".join(f" -X {p}.{field}={value}" for p in VERSION_PACKAGES for field, value in said.items())


def _place(built: Path, target: Path) -> None:
    draft = target.with_suffix(".tmp")
    shutil.move(built, draft)
    draft.chmod(0o755)
    draft.rename(target)
    for old in target.parent.glob(f"{target.name.rsplit('-', 1)[0]}-*"):
        if old != target:
            old.unlink()


def _go() -> str:
    found = os.environ.get("KUBEBOX_GO") or shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        raise KubeboxError("Go is not installed")
    return found


def _run(argv: list[str], folder: str, **env: str) -> str:
    low = ["nice", "-n", "19", *argv]
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOWORK": "off", **env}
    done = subprocess.run(
        low, cwd=folder, env=os.environ | settings, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False
    )
    if done.returncode:
        raise KubeboxError(f"{' '.join(argv[:3])} failed: {' / '.join(done.stderr.strip().splitlines()[-4:])}")
    return done.stdout


@contextmanager
def _locked() -> Iterator[None]:
    home().mkdir(parents=True, exist_ok=True)
    with (home() / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(argv: list[str]) -> int:
    """See the first lines of this file."""
    if len(argv) != 2 or argv[0] not in ("find", "make") or argv[1] not in WANTED:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(json.dumps(find(argv[1]) if argv[0] == "find" else make(argv[1])))
    except (KubeboxError, OSError, subprocess.SubprocessError) as error:
        print(str(error).replace("\n", " / "), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
