"""Does for a test cluster what a site's own equipment does: makes volumes for claims, and lets named pods out.

`python keeper.py FOLDER` runs beside the cluster of that folder until it is ended.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from kubebox import firewall
from kubebox.api import Api
from kubebox.network import Addresses
from kubebox.places import KubeboxError

TURN_S = 0.4
STORAGE_CLASS = "standard"


def matching(pods: Iterable[dict[str, Any]], patterns: Iterable[str]) -> set[str]:
    """Addresses of the pods whose namespace/name matches a pattern."""
    wanted = list(patterns)
    named = ((f"{p['metadata']['namespace']}/{p['metadata']['name']}", p.get("status", {}).get("podIP")) for p in pods)
    return {address for name, address in named if address and any(fnmatch.fnmatchcase(name, w) for w in wanted)}


def volume(claim: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A volume for a claim. All nodes are on one machine, so every node finds the folder: any access mode is true."""
    meta, spec = claim["metadata"], claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"claim-{meta['uid']}", "labels": {"kubebox.test/made": "true"}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                **{key: meta[key] for key in ("name", "namespace", "uid")},
            },
            "hostPath": {"path": str(folder), "type": "Directory"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
        },
    }


def _turn(folder: Path, api: Api) -> None:
    state = json.loads((folder / "state.json").read_text())
    if not state["firewall"]["pods_egress"]:
        pods = api.get("/api/v1/pods", resourceVersion="0")["items"]
        firewall.let_out(Addresses(state["index"]), matching(pods, state["let_out"]))
    for claim in api.get("/api/v1/persistentvolumeclaims", resourceVersion="0").get("items", []):
        if claim["spec"].get("storageClassName") == STORAGE_CLASS and claim["status"].get("phase") == "Pending":
            place = folder / "claims" / claim["metadata"]["uid"]
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o777)
            api.create("/api/v1/persistentvolumes", volume(claim, place))
    made = api.get("/api/v1/persistentvolumes", labelSelector="kubebox.test/made=true", resourceVersion="0")
    for old in made.get("items", []):
        if old["status"].get("phase") == "Released":
            shutil.rmtree(old["spec"]["hostPath"]["path"], ignore_errors=True)
            api.delete(f"/api/v1/persistentvolumes/{old['metadata']['name']}")


def main(folder: Path) -> None:
    """Turn after turn; an API server that is away comes back."""
    api = Api(folder / "admin.kubeconfig")
    while True:
        with contextlib.suppress(KubeboxError, httpx.HTTPError):
            _turn(folder, api)
        time.sleep(TURN_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
