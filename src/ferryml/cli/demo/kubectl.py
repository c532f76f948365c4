"""What IT operations do to the demo's clusters: kubectl, with kubeconfigs that no program of Ferry's ever sees."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferryml.domain.errors import Refused, Unavailable

LIMIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One cluster."""

    kubeconfig: Path

    def run(self, *argv: str, given: bytes | None = None, check: bool = True) -> str:
        """What kubectl prints; raises Unavailable(ClusterUnreachable) with what it complained of."""
        try:
            done = subprocess.run(self.argv(*argv), input=given, capture_output=True, timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired as slow:
            raise self._failed(argv, f"it took more than {LIMIT_S:g} s") from slow
        if check and done.returncode:
            raise self._failed(argv, done.stderr.decode(errors="replace").strip()[-2000:])
        return done.stdout.decode(errors="replace")

    def argv(self, *argv: str) -> list[str]:
        """The whole command."""
        return [program(), "--kubeconfig", str(self.kubeconfig), *argv]

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Objects as mappings."""
        everything = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "-f", "-", given=json.dumps(everything).encode())

    def names(self, kinds: str, *where: str) -> set[str]:
        """Of all objects of these kinds, as `kind/name`."""
        return set(self.run("get", kinds, "-o", "name", "--ignore-not-found", *where).split())

    def copy(self, folder: Path, namespace: str, pod: str, target: str) -> None:
        """The files below the folder into a running pod that has tar."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(folder, arcname=".")
        inside = ("tar", "-x", "--no-same-owner", "-f", "-", "-C", target)
        self.run("exec", "-i", "-n", namespace, pod, "--", *inside, given=packed.getvalue())

    def _failed(self, argv: tuple[str, ...], why: str) -> Unavailable:
        return Unavailable("ClusterUnreachable", f"kubectl {' '.join(argv[:3])} ({self.kubeconfig.name}): {why}")


def program() -> str:
    """The kubectl on PATH. Raises Refused(FileNotFound)."""
    found = shutil.which("kubectl")
    if found is None:
        raise Refused("FileNotFound", "kubectl is not on PATH", "Install kubectl; the demo installs Ferry with it.")
    return found
