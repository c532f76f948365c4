"""What goes wrong in front of people: a code, a hint, an exit code for scripts, and nothing half done.

Over the command line, against a whole server with TLS and an authority of its own. What single commands refuse
stands in tests/cli; what the language refuses, in tests/domain and tests/sdk.
"""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from ferryml.bootstrap import server as server_program
from ferryml.control.context import Deps
from ferryml.control.ports import Kind
from ferryml.settings import ServerSettings
from fixtures_client import Said
from https_play import Authority
from system_play import until

UPLOAD_LIMIT = 1 << 20
ENV = "{pip_requirements: [numpy]}"
JOB = f"command: 'true'\nenvironment: {ENV}\ncompute: c1\n"
ENDPOINT = "name: ep1\ncompute: c1\n"
DEPLOYMENT = "name: blue\nendpoint_name: ep1\nmodel: azureml:net:1\n"
FILES = {
    "job.yml": JOB,
    "torn.yml": "command: [true\nenvironment: x\n",
    "list.yml": "- command: 'true'\n",
    "empty.yml": "",
    "latin.yml": b"command: caf\xe9\n",
    "unknown.yml": JOB + "instance_cout: 2\n",
    "typed.yml": JOB + "limits: {timeout: soon}\n",
    "nocode.yml": JOB + "code: ./absent\n",
    "noenv.yml": "command: 'true'\nenvironment: azureml:absent:1\ncompute: c1\n",
    "nodata.yml": JOB + "inputs: {d: {type: uri_file, path: 'azureml:absent@latest'}}\n",
    "nocompute.yml": f"command: 'true'\nenvironment: {ENV}\ncompute: azureml:absent\n",
    "nothing.yml": "command: echo ${{inputs.absent}}\n" + JOB.partition("\n")[2],
    "up.yml": JOB + "inputs: {d: {type: uri_file, path: 'azureml://datastores/local/paths/../secret'}}\n",
    "ep2.yml": "name: ep2\ncompute: c1\ntraffic: {blue: 60, green: 50}\n",
    "ep3.yml": "name: ep3\ncompute: c1\nmirror_traffic: {blue: 60}\n",
    "blue.yml": DEPLOYMENT,
    "noendpoint.yml": DEPLOYMENT.replace("ep1", "absent"),
    "place.yml": "name: place\ntype: local\nroot: /data\nsite: here\n",
    "compute.yml": "name: c1\ntype: local\nsite: here\n",
    "big.bin": b"x" * (UPLOAD_LIMIT + 1),
    "secret.txt": "not part of the code",
    "code/main.py": "",
}
LANGUAGE = [
    ("job create -f torn.yml", "BadYaml", "torn.yml:"),
    ("job create -f list.yml", "BadYaml", "list.yml"),
    ("job create -f empty.yml", "BadYaml", "empty.yml"),
    ("job create -f latin.yml", "BadEncoding", "latin.yml"),
    ("job create -f unknown.yml", "UnknownField", "unknown.yml:4"),
    ("job create -f typed.yml", "BadValue", "typed.yml:4"),
    ("job create -f nothing.yml", "UnresolvedExpression", "absent"),
    ("job create -f up.yml", "PathEscapes", ".."),
    ("job create -f absent.yml", "FileNotFound", "absent.yml"),
    ("job create -f nocode.yml", "FileNotFound", "absent"),
    ("data create -n d --path ./absent", "FileNotFound", "absent"),
    ("job create -f job.yml --set code=./linked", "PathEscapes", "linked"),
    ("data create -n d --path azureml://datastores/place/paths/../../etc", "PathEscapes", ".."),
    ("data create -n ../up --path ./secret.txt", "BadName", "../up"),
    (f"data create -n {'n' * 256} --path ./secret.txt", "BadName", "255"),
    (f"job create -f job.yml -n {'n' * 256}", "BadName", "255"),
    (f"online-endpoint create -n {'n' * 33} --set compute=c1", "BadName", "32"),
    (f"online-deployment create -f blue.yml -n {'n' * 33}", "BadName", "32"),
    ("apply -f unknown.yml", "UnknownField", "unknown.yml:4"),
]
REFUSED = [
    ("job create -f noenv.yml", "NotFound", "absent"),
    ("job create -f nodata.yml", "NotFound", "absent"),
    ("job create -f nocompute.yml", "ComputeNotFound", "absent"),
    ("online-deployment create -f noendpoint.yml --no-wait", "NotFound", "absent"),
    ("online-endpoint create -f ep2.yml --no-wait", "TrafficInvalid", "110"),
    ("online-endpoint create -f ep3.yml --no-wait", "TrafficInvalid", "50"),
    ("online-endpoint update -n ep1 --traffic blue=110", "TrafficInvalid", "110"),
    ("job show -n absent", "NotFound", "absent"),
    ("job cancel -n absent", "NotFound", "absent"),
    ("job download -n absent", "NotFound", "absent"),
    ("online-endpoint invoke -n absent --request-file job.yml", "NotFound", "absent"),
    ("model show -n net -v 7", "NotFound", "7"),
    ("compute attach -f compute.yml", "AlreadyExists", "c1"),
    ("datastore create -f place.yml", "AlreadyExists", "place"),
    ("workspace create -n default", "AlreadyExists", "default"),
    ("site create -n here", "AlreadyExists", "here"),
    ("model create -n net -v 1 --path ./secret.txt", "AlreadyExists", "net"),
    ("online-deployment create -f blue.yml --no-wait", "OperationInProgress", "ep1"),
    ("data create -n big --path ./big.bin", "UploadTooLarge", str(UPLOAD_LIMIT)),
    ("job list -w absent", "NotFound", "absent"),
]


@dataclass
class Server:
    """A running one, and what its owner sees of it."""

    url: str
    bundle: Path
    api: httpx.Client
    deps: Deps

    def seen(self) -> dict[str, Any]:
        """Everything that was ever asked for, and who changed what; not how it fares: sites come and go."""
        with self.deps.store.read() as tx:
            rows = [row for kind in get_args(Kind) for row in tx.find(kind, archived="any")]
            audits = [entry for workspace in ("", "*", "default") for entry in tx.audits(workspace, limit=1000)]
        asked = {(row.kind, row.workspace, row.name, row.version): (row.spec, row.labels, row.archived) for row in rows}
        return {"asked": asked, "audits": [(entry.seq, entry.verb, entry.subject) for entry in audits]}

    def token(self, *options: str) -> dict[str, Any]:
        name, role, expires_in_s = (*options, "60")[:3]
        body = {"name": name, "role": role, "expires_in_s": int(expires_in_s)}
        return self.api.post("/workspaces/default/tokens", json=body).raise_for_status().json()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a workspace that has one of what can be there twice; its endpoint waits for a site that never answers."""
    folder = tmp_path_factory.mktemp("server")
    ours = Authority(folder, "ours")
    chain, key = ours.server_files()
    program = server_program.build(
        ServerSettings(state_dir=folder / "state", port=0, tls_cert=chain, tls_key=key, max_upload_bytes=UPLOAD_LIMIT)
    )
    program.start()
    token = (folder / "state" / "admin.token").read_text().strip()
    headers, believed = {"Authorization": f"Bearer {token}"}, ssl.create_default_context(cafile=str(ours.bundle))
    base = f"{program.url}/api/v1"
    try:
        with httpx.Client(base_url=base, headers=headers, verify=believed, trust_env=False, timeout=30) as api:
            furnish(api)
            yield Server(program.url, ours.bundle, api, program.deps)
    finally:
        program.stop()


def furnish(api: httpx.Client) -> None:
    join = api.post("/sites", json={"name": "here"}).json()["join_token"]
    key = {"agent_key": "a" * 43 + "=", "gateway_key": "b" * 43 + "="}
    root = str(api.base_url).removesuffix("/api/v1/")
    api.post(f"{root}/agent/v1/enrol", json={"join_token": join, "version": "1", **key}).raise_for_status()
    data = b"weights"
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    api.put(f"/workspaces/default/artifacts/blobs/{digest}", content=data).raise_for_status()
    for kind, body in {
        "computes": {"name": "c1", "type": "local", "site": "here"},
        "datastores": {"name": "place", "type": "local", "root": "/data", "site": "here"},
        "models": {"name": "net", "version": "1", "path": f"content:file:{digest}:w"},
        "online-endpoints": {"name": "ep1", "compute": "c1"},
    }.items():
        said = api.post(f"/workspaces/default/{kind}", json=body)
        assert said.status_code == 201, said.text


@pytest.fixture
def ferry(
    server: Server, typed: Callable[..., Said], alone: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Said]:
    """A command line in a folder with good and bad files, logged in as the owner."""
    for name, content in FILES.items():
        (alone / name).parent.mkdir(exist_ok=True)
        (alone / name).write_bytes(content.encode() if isinstance(content, str) else content)
    (alone / "linked").mkdir()
    (alone / "linked" / "in.txt").symlink_to(alone / "secret.txt")
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("FERRY_URL", server.url)
    monkeypatch.setenv("FERRY_TOKEN", server.api.headers["Authorization"].removeprefix("Bearer "))
    monkeypatch.setenv("FERRY_CA_BUNDLE", str(server.bundle))
    return lambda line: typed(*line.split())


def refused(said: Said, exit_code: int, code: str, words: str = "") -> None:
    """One shape for all: nothing on stdout, a code and a hint on stderr, an exit code."""
    assert (said.out, said.code) == ("", exit_code), said
    error = said.err.partition("Error: [")[2]
    assert error.partition("]")[0] == code, said.err
    assert words in said.err
    assert "\nHint: " in said.err, said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("line", "code", "words"), LANGUAGE)
def test_what_is_written_wrongly_changes_nothing(server, ferry, line, code, words):
    before = server.seen()
    refused(ferry(line), 2, code, words)
    assert server.seen() == before


@pytest.mark.parametrize(("line", "code", "words"), REFUSED)
def test_what_cannot_be_changes_nothing(server, ferry, line, code, words):
    before = server.seen()
    refused(ferry(line), 1, code, words)
    assert server.seen() == before


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "a\\b", "c:/x"])
def test_a_manifest_that_would_write_elsewhere_is_no_asset(server, path):
    before = server.seen()
    entry = {"path": path, "digest": f"sha256:{hashlib.sha256(b'weights').hexdigest()}", "size": 7, "executable": False}
    data = json.dumps({"entries": [entry]}, separators=(",", ":")).encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    server.api.put(f"/workspaces/default/artifacts/blobs/{digest}", content=data)
    place = f"content:tree:{digest}:evil"
    for kind, what in (("datas", "uri_folder"), ("models", "custom_model"), ("codes", None)):
        body = {"name": "evil", "path": place, **({"type": what} if what else {})}
        said = server.api.post(f"/workspaces/default/{kind}", json=body)
        assert (said.status_code, said.json()["error"]["code"]) == (400, "PathEscapes"), said.text
        assert said.json()["error"]["hint"]
    assert server.seen() == before


@pytest.mark.parametrize(
    ("role", "line", "code"),
    [
        ("reader", "job create -f job.yml", "Forbidden"),
        ("scorer", "job list", "Forbidden"),
        ("data-scientist", "site create -n other", "Forbidden"),
        ("data-scientist", "token create --name x --role owner", "Forbidden"),
    ],
)
def test_a_role_that_is_too_small(server, ferry, monkeypatch, role, line, code):
    monkeypatch.setenv("FERRY_TOKEN", server.token(role, role)["token"])
    before = server.seen()
    refused(ferry(line), 1, code)
    assert server.seen() == before


def test_a_token_that_is_unknown_or_missing(ferry, monkeypatch):
    for token in ("fry_abc_def", "nonsense", ""):
        monkeypatch.setenv("FERRY_TOKEN", token)
        refused(ferry("job create -f job.yml"), 1, "Unauthenticated")


def test_a_token_that_was_revoked(server, ferry, monkeypatch):
    made = server.token("gone", "owner")
    server.api.delete(f"/workspaces/default/tokens/{made['id']}").raise_for_status()
    monkeypatch.setenv("FERRY_TOKEN", made["token"])
    before = server.seen()
    refused(ferry("job create -f job.yml"), 1, "TokenRevoked")
    assert server.seen() == before


def test_a_token_whose_life_is_over(server, ferry, monkeypatch):
    monkeypatch.setenv("FERRY_TOKEN", server.token("brief", "owner", "1")["token"])
    until(lambda: ferry("job list").code, 20)
    before = server.seen()
    refused(ferry("job create -f job.yml"), 1, "TokenExpired")
    assert server.seen() == before


def test_another_workspaces_token_finds_nothing_here(server, ferry, monkeypatch):
    server.api.post("/workspaces", json={"name": "other"}).raise_for_status()
    body = {"name": "eve", "role": "owner"}
    made = server.api.post("/workspaces/other/tokens", json=body).raise_for_status().json()
    monkeypatch.setenv("FERRY_TOKEN", made["token"])
    before = server.seen()
    for line in ("job create -f job.yml", "model show -n net -v 1", "online-endpoint get-credentials -n ep1"):
        refused(ferry(line), 1, "NotFound")
    assert ferry("job list -w other").code == 0
    assert server.seen() == before


def test_only_the_right_authority_is_believed(ferry, monkeypatch, tmp_path):
    assert ferry("whoami").code == 0
    monkeypatch.setenv("FERRY_CA_BUNDLE", str(Authority(tmp_path, "another").bundle))
    refused(ferry("whoami"), 3, "TlsFailed", "FERRY_CA_BUNDLE")
    monkeypatch.delenv("FERRY_CA_BUNDLE")
    refused(ferry("whoami"), 3, "TlsFailed", "FERRY_CA_BUNDLE")
    monkeypatch.setenv("FERRY_CA_BUNDLE", str(tmp_path / "absent.pem"))
    refused(ferry("whoami"), 1, "TlsFailed", "absent.pem")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_is_named(ferry, monkeypatch, free_port, scheme):
    monkeypatch.setenv("FERRY_URL", f"{scheme}://ferry.example.com")
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://user:password@127.0.0.1:{free_port}")
    said = ferry("whoami")
    refused(said, 3, "ProxyFailed", f"127.0.0.1:{free_port}")
    assert "password" not in said.err
