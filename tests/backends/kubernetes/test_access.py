"""The way to an API server, from a kubeconfig or a pod's own files."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import httpx
import pytest

from ferryml.backends.kubernetes.access import Bearer, Fresh, auth_of, find_access, from_kubeconfig
from ferryml.domain.errors import Refused
from https_play import Authority


def kubeconfig(folder: Path, user: dict[str, object], **cluster: object) -> Path:
    known = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "team"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "config"
    path.write_text(json.dumps(known))
    return path


def test_token_server_and_namespace_are_read(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "t0"}, **{"insecure-skip-tls-verify": True, "proxy-url": "http://p:1"})
    access = find_access({"KUBECONFIG": str(path)})
    assert (access.url, access.namespace, access.proxy) == ("https://127.0.0.1:6443", "team", "http://p:1")
    assert access.token is not None
    assert access.token() == "t0"


def test_certificates_inside_and_beside_the_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "private")
    chain, key = authority.server_files()
    inside = {
        "client-certificate-data": base64.b64encode(chain.read_bytes()).decode(),
        "client-key-data": base64.b64encode(key.read_bytes()).decode(),
    }
    pem = base64.b64encode(authority.bundle.read_bytes()).decode()
    access = from_kubeconfig(kubeconfig(tmp_path, inside, **{"certificate-authority-data": pem}))
    assert access.token is None
    assert auth_of(access) is None
    assert access.tls.get_ca_certs()
    beside = {"client-certificate": chain.name, "client-key": key.name}
    for file in (chain, key):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert from_kubeconfig(kubeconfig(tmp_path, beside, **{"certificate-authority": str(authority.bundle)})).tls


def test_a_program_may_print_the_token(tmp_path: Path) -> None:
    answer = json.dumps({"status": {"token": "from-a-cloud"}})
    plan = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable,
        "args": ["-c", f"import os; assert os.environ['KUBERNETES_EXEC_INFO']; print({answer!r})"],
        "env": [{"name": "REGION", "value": "x"}],
    }  # fmt: skip
    access = from_kubeconfig(kubeconfig(tmp_path, {"exec": plan}))
    assert access.token is not None
    assert access.token() == "from-a-cloud"
    failing = {**plan, "args": ["-c", "raise SystemExit(1)"]}
    access = from_kubeconfig(kubeconfig(tmp_path, {"exec": failing}))
    assert access.token is not None
    with pytest.raises(Refused, match="gave no token"):
        access.token()


@pytest.mark.parametrize("text", ["", "[", "current-context: nowhere", "current-context: c\ncontexts: []"])
def test_what_says_no_way_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Refused, match="kubeconfig"):
        from_kubeconfig(path)


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no way"):
        find_access({"HOME": str(tmp_path)})


def test_a_rotated_token_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    fresh = Fresh(file.read_text, 3600)
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(200 if seen[-1] == "Bearer new" else 401)

    with httpx.Client(transport=httpx.MockTransport(answer), auth=Bearer(fresh, fresh.forget)) as client:
        assert client.get("https://k/").status_code == 401
        file.write_text("new")
        assert client.get("https://k/").status_code == 200
    assert seen == ["Bearer old", "Bearer old", "Bearer old", "Bearer new"]
