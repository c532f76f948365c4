"""The way to an API server and who we are there: the pod's service account, or a kubeconfig during development."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ferryml.domain.errors import Refused

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_LIFE_S = 60.0
"""How long a token file's content is trusted before it is read again: kubelet rotates it."""
EXEC_LIMIT_S = 60
SENTENCE = "Give the path of a kubeconfig in KUBECONFIG, or run in a pod with a service account."


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API server is and how to speak to it."""

    url: str
    tls: ssl.SSLContext
    token: Callable[[], str] | None
    """None: the client certificate in `tls` says who we are."""
    proxy: str = ""
    namespace: str = "default"


class Bearer(httpx.Auth):
    """Adds the token; asks for a new one when the old one is not taken any more."""

    def __init__(self, token: Callable[[], str], forget: Callable[[], None]) -> None:
        self._token, self._forget = token, forget

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token()}"
        response = yield request
        if response.status_code == 401:
            self._forget()
            request.headers["Authorization"] = f"Bearer {self._token()}"
            yield request


class Fresh:
    """A token that is made anew after a while."""

    def __init__(self, make: Callable[[], str], life_s: float) -> None:
        self._make, self._life_s = make, life_s
        self._token, self._until = "", 0.0

    def __call__(self) -> str:
        if time.monotonic() >= self._until:
            self._token, self._until = self._make(), time.monotonic() + self._life_s
        return self._token

    def forget(self) -> None:
        self._until = 0.0


def find_access(environ: Mapping[str, str] | None = None) -> Access:
    """KUBECONFIG first, then the pod's service account, then ~/.kube/config. Raises Refused(BadValue)."""
    environ = os.environ if environ is None else environ
    named = environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    if named:
        return from_kubeconfig(Path(named))
    if environ.get("KUBERNETES_SERVICE_HOST") and (ACCOUNT / "token").exists():
        return _in_cluster(environ)
    usual = Path(environ.get("HOME", "/")) / ".kube" / "config"
    if usual.exists():
        return from_kubeconfig(usual)
    raise Refused("BadValue", "there is no way to a Kubernetes API server", SENTENCE)


def auth_of(access: Access) -> httpx.Auth | None:
    if access.token is None:
        return None
    forget = access.token.forget if isinstance(access.token, Fresh) else lambda: None
    return Bearer(access.token, forget)


def from_kubeconfig(path: Path) -> Access:
    """The current context of a kubeconfig; raises Refused(BadValue) when it says no way."""
    try:
        known = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        context = _named(known, "contexts", str(known["current-context"]), "context")
        cluster = _named(known, "clusters", context["cluster"], "cluster")
        user = _named(known, "users", context.get("user", ""), "user") if context.get("user") else {}
        return Access(
            url=str(cluster["server"]).rstrip("/"),
            tls=_tls(cluster, user, path.parent),
            token=_token(user, path.parent),
            proxy=str(cluster.get("proxy-url") or ""),
            namespace=str(context.get("namespace") or "default"),
        )
    except (OSError, KeyError, TypeError, ValueError, YAMLError) as error:
        raise Refused("BadValue", f"the kubeconfig {path} cannot be used: {error!r}", SENTENCE) from error


def _in_cluster(environ: Mapping[str, str]) -> Access:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    return Access(
        url=f"https://{host}:{port}",
        tls=ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt")),
        token=Fresh(lambda: (ACCOUNT / "token").read_text(encoding="ascii").strip(), TOKEN_LIFE_S),
        namespace=(ACCOUNT / "namespace").read_text(encoding="utf-8").strip(),
    )


def _named(known: Mapping[str, Any], kind: str, name: str, inner: str) -> dict[str, Any]:
    for entry in known.get(kind) or ():
        if entry["name"] == name:
            return dict(entry.get(inner) or {})
    raise KeyError(f"{kind}: {name}")


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], base: Path) -> ssl.SSLContext:
    data = cluster.get("certificate-authority-data")
    file = cluster.get("certificate-authority")
    context = ssl.create_default_context(
        cafile=str(base / file) if file and not data else None,
        cadata=base64.b64decode(data).decode("ascii") if data else None,
    )
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _own_certificate(context, user, base)
    return context


def _own_certificate(context: ssl.SSLContext, user: Mapping[str, Any], base: Path) -> None:
    if user.get("client-certificate-data"):
        # the ssl module takes certificates from files only; this one lives no longer than the call
        with tempfile.NamedTemporaryFile() as file:
            file.write(base64.b64decode(user["client-certificate-data"]))
            file.write(b"\n" + base64.b64decode(user["client-key-data"]))
            file.flush()
            context.load_cert_chain(file.name)
    elif user.get("client-certificate"):
        context.load_cert_chain(str(base / user["client-certificate"]), str(base / user["client-key"]))


def _token(user: Mapping[str, Any], base: Path) -> Callable[[], str] | None:
    if user.get("token"):
        return lambda: str(user["token"])
    if user.get("tokenFile"):
        file = base / user["tokenFile"]
        return Fresh(lambda: file.read_text(encoding="ascii").strip(), TOKEN_LIFE_S)
    if user.get("exec"):
        return Fresh(lambda: _from_program(user["exec"]), 10 * TOKEN_LIFE_S)
    return None


def _from_program(plan: Mapping[str, Any]) -> str:
    """How the clouds hand out tokens: a program of theirs prints one."""
    info = {"apiVersion": plan["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    more = {entry["name"]: entry["value"] for entry in plan.get("env") or ()}
    try:
        done = subprocess.run(
            [plan["command"], *(plan.get("args") or ())],
            env={**os.environ, **more, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            capture_output=True, timeout=EXEC_LIMIT_S, check=True,
        )  # fmt: skip
        return str(json.loads(done.stdout)["status"]["token"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise Refused("BadValue", f"{plan['command']} gave no token for the cluster: {type(error).__name__}") from error
