"""What job pods, other namespaces, hand-made objects, stolen tokens and other sites' keys do not get."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster_faults import GATED, kill_program, let_go, logged, own_pod, pods, pods_made, uid
from cluster_play import IMAGE, SYSTEM, World
from ferryml.agent.keys import Clock, KeySigner, new_key, public_text
from ferryml.agent.link import HttpLink, enrol
from ferryml.backends.kubernetes.mljobs import body_of
from ferryml.bootstrap.dice import SystemDice
from ferryml.compile.environment import environment_order
from ferryml.compile.kubernetes.names import resource_name
from ferryml.domain.errors import FerryError, Refused
from ferryml.domain.link import PROTOCOL, Enrol, Enrolled, Heartbeat, Wish
from ferryml.domain.orders import JobOrder
from ferryml.sdk.wire import Route, Wire, open_client
from kubebox.cluster import Cluster
from kubebox.places import KubeboxError
from system_play import W, until

CURIOUS = """cat > look.py <<'END'
import os, ssl, urllib.error, urllib.request
def ask(url):
    context = ssl._create_unverified_context()
    try:
        return urllib.request.urlopen(urllib.request.Request(url), timeout=20, context=context).status
    except urllib.error.HTTPError as error:
        return error.code
what = "/admin/v1/outputs?uid=job.default.curious&attempt=1"
for path in ("/var/run/secrets", "/ferry-token"):
    print(path, os.path.exists(path))
for name, url in {
    "door": "http://127.0.0.1:8471" + what, "climb": "http://127.0.0.1:8471/v1/.." + what,
    "admin": "https://ferry-gateway.ferry-system.svc:8443" + what,
    "plain": "https://ferry-gateway.ferry-system.svc:8443/v1/group",
    "cluster": "https://kubernetes.default.svc/api/v1/namespaces/ferry-system/secrets/ferry-agent-key",
}.items():
    print(name, ask(url))
END
python look.py"""


def test_a_job_finds_no_credentials_and_no_door_for_others(joined: World) -> None:
    joined.submit("curious", CURIOUS, "team-a")
    joined.completes("curious")
    seen = dict(line.rsplit(" ", 1) for line in joined.log("curious").splitlines())
    assert seen == {
        "/var/run/secrets": "False", "/ferry-token": "False", "door": "404", "climb": "404", "admin": "401",
        "plain": "401", "cluster": "403",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("who", "verb", "what", "where"),
    [
        ("ferry-system:ferry-agent", "get", "secret/ferry-gateway-key", SYSTEM),
        ("ferry-system:ferry-agent", "list", "secrets", SYSTEM),
        ("ferry-system:ferry-agent", "create", "jobs.batch", SYSTEM),
        ("ferry-system:ferry-agent", "create", "pods", SYSTEM),
        ("ferry-system:ferry-agent", "get", "secrets", "ferry-environments"),
        ("ferry-system:ferry-agent", "get", "secrets", "team-a"),
        ("ferry-system:ferry-agent", "create", "pods", "default"),
        ("ferry-system:ferry-agent", "create", "serviceaccounts/token", "team-a"),
        ("ferry-system:ferry-gateway", "get", "secret/ferry-agent-key", SYSTEM),
        ("ferry-system:ferry-gateway", "get", "pods", "team-a"),
        ("ferry-environments:ferry-preparation", "get", "secret/ferry-agent-key", SYSTEM),
        ("team-a:default", "get", "secret/ferry-agent-key", SYSTEM),
        ("team-a:default", "get", "configmaps", SYSTEM),
        ("team-a:default", "get", "mljobs.ferryml.dev", "team-a"),
        ("team-a:default", "get", "pods", "team-b"),
    ],
)
def test_nobody_has_rights_that_are_not_theirs(
    joined: World, onprem: Cluster, who: str, verb: str, what: str, where: str
) -> None:
    argv = ("auth", "can-i", verb, what, "-n", where, f"--as=system:serviceaccount:{who}")
    assert onprem.kubectl(*argv, check=False).strip() == "no"


@pytest.fixture
def gateway(joined: World, onprem: Cluster) -> Iterator[Callable[[str, str], int]]:
    """`gateway(token, path)`: the status of a GET at the gateway."""
    port = onprem.forward(own_pod(onprem, "ferry-gateway")["status"]["podIP"], 8443)
    with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=False, trust_env=False, timeout=30) as client:

        def status(token: str, path: str) -> int:
            shown = {"Authorization": f"Bearer {token}"} if token else {}
            return client.get(path, headers=shown).status_code

        yield status


def test_codes_are_for_the_pods_of_their_job_alone(
    joined: World, onprem: Cluster, gateway: Callable[[str, str], int], tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "secret.py").write_text("price = 42\n")
    text = {
        "type": "command", "name": "owner", "command": f"cat secret.py; {GATED}", "code": "./src",
        "compute": "azureml:team-a", "environment": {"image": IMAGE},
    }  # fmt: skip
    (tmp_path / "job.yml").write_text(json.dumps(text))
    joined.ferry("job", "create", "-f", "job.yml", cwd=tmp_path)
    joined.submit("neighbour", GATED, "team-b")
    for name in ("owner", "neighbour"):
        logged(joined, name, "begun")
    mine, theirs = (
        pods(onprem, f"team-{n}", name)[0]["metadata"]["name"] for n, name in (("a", "owner"), ("b", "neighbour"))
    )
    asleep = {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": IMAGE}]}
    for namespace, name in (("team-b", mine), ("team-a", "stranger")):
        onprem.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": asleep}, namespace=namespace
        )
    code = f"/v1/trees/{_spec(onprem, 'team-a', 'owner')['order']['code']['digest']}"
    admin = f"/admin/v1/outputs?uid={uid('owner')}&attempt=1"

    own = _token(onprem, "team-a", mine)
    assert gateway(own, code) == 200
    assert gateway(own, admin) == 401
    assert gateway(_token(onprem, "team-a", mine, "ferry-gateway-admin"), admin) == 403
    assert gateway(_token(onprem, "team-a", mine, ""), code) == 401
    assert gateway(_token(onprem, "team-a", ""), code) == 401
    assert gateway(_token(onprem, "team-a", "stranger"), code) == 401
    assert gateway(_token(onprem, "team-b", mine), code) == 401
    assert gateway(_token(onprem, "team-b", theirs), code) == 403
    assert gateway("", code) == 401

    let_go(onprem, "team-a", "owner")
    let_go(onprem, "team-b", "neighbour")
    joined.completes("owner")
    joined.completes("neighbour")
    assert gateway(own, code) in (401, 403)
    onprem.kubectl("delete", "pod", "-n", "team-a", "stranger", "--grace-period=0", "--force")
    onprem.kubectl("delete", "pod", "-n", "team-b", mine, "--grace-period=0", "--force")


def test_a_hand_made_order_gets_nothing_of_the_store(joined: World, onprem: Cluster) -> None:
    joined.submit("honest", GATED, "team-a")
    logged(joined, "honest", "begun")
    honest = _spec(onprem, "team-a", "honest")
    for name, shown in (("bare", ""), ("borrowed", honest["grant"])):
        _make(onprem, "team-a", name, _handmade(name, "team-a"), shown)
        where = ("mljob", resource_name(uid(name)), "-n", "team-a", "-o", "json")
        until(lambda where=where: _status(onprem, *where).get("phase") == "Failed", 60, joined.tail)
        assert "grant" in str(_status(onprem, *where).get("reason"))
        assert pods_made(onprem, "team-a", name) == {}
        assert joined.api.get(f"{W}/jobs/{name}").status_code == 404
        onprem.kubectl("delete", "mljob", resource_name(uid(name)), "-n", "team-a")
    let_go(onprem, "team-a", "honest")
    joined.completes("honest")


def test_an_order_in_one_namespace_cannot_name_another(joined: World, onprem: Cluster) -> None:
    """Neither a job of its own there, nor one that lives there already."""
    joined.submit("settled", GATED, "team-a")
    logged(joined, "settled", "begun")
    wish = _spec(onprem, "team-a", "settled")
    forged = JobOrder.model_validate({**wish["order"], "command": "echo forged"})
    _make(onprem, "team-b", "settled", forged, wish["grant"])
    _make(onprem, "team-b", "settled-2", _handmade("settled-2", "team-a"), wish["grant"])
    kill_program(onprem, "ferry-agent")
    joined.submit("after", "echo after", "team-b")
    joined.completes("after")
    let_go(onprem, "team-a", "settled")
    joined.completes("settled")
    assert joined.log("settled") == "begun\nended\n"
    assert pods_made(onprem, "team-a", "settled") == {"1": 1}
    for namespace in ("team-a", "team-b"):
        assert pods_made(onprem, namespace, "settled-2") == {}
    assert pods_made(onprem, "team-b", "settled") == {}
    for name in ("settled", "settled-2"):
        onprem.kubectl("delete", "mljob", resource_name(uid(name)), "-n", "team-b")


class Intruder:
    """Who has a join token, and what it opens."""

    def __init__(self, world: World) -> None:
        self._dice = SystemDice()
        self._route = Route(world.url, ca_bundle=world.authority.bundle)
        self.agent, self.gateway = new_key(), new_key()

    def joins(self, token: str, protocol: int = PROTOCOL) -> Enrolled:
        wire = Wire(open_client(self._route), self._route)
        try:
            asked = Enrol(
                join_token=token, agent_key=public_text(self.agent), gateway_key=public_text(self.gateway),
                version="0", backend="kubernetes", protocol=protocol,
            )  # fmt: skip
            return enrol(wire, asked)
        finally:
            wire.close()

    def wishes(self, site: str, server: str) -> list[str]:
        """Uids of what the server tells whoever calls itself that site."""
        with self._link(site, server) as link:
            return [wish.uid for wish in link.wishes(0, "", 0).wishes]

    def beats(self, site: str, server: str, protocol: int) -> None:
        """As an agent of that version."""
        with self._link(site, server) as link:
            link.heartbeat(Heartbeat(protocol=protocol, version="0", at=self._dice.now()))

    @contextmanager
    def _link(self, site: str, server: str) -> Iterator[HttpLink]:
        signer = KeySigner(self.agent, f"{site}/agent", server, Clock(self._dice.now), lambda: self._dice.id(16))
        wire = Wire(open_client(self._route), self._route, signer)
        try:
            yield HttpLink(wire)
        finally:
            wire.close()


def test_a_join_token_is_worthless_after_use(joined: World, onprem: Cluster) -> None:
    used = json.loads((joined.folder / "onprem-values.json").read_text())["joinToken"]
    with pytest.raises(FerryError) as caught:
        Intruder(joined).joins(used)
    assert caught.value.code == "JoinTokenUsed"
    join = json.loads(onprem.kubectl("get", "secret", "ferry-join", "-n", SYSTEM, "-o", "json"))
    assert not join.get("data")


def test_a_sites_keys_open_nothing_of_another_and_nothing_when_revoked(joined: World) -> None:
    joined.submit("theirs", "echo theirs", "team-a")
    intruder = Intruder(joined)
    known = intruder.joins(joined.post("/sites", {"name": "other"})["join_token"])
    assert intruder.wishes("other", known.server_id) == []
    for site in ("onprem", "nowhere"):
        with pytest.raises(Refused) as caught:
            intruder.wishes(site, known.server_id)
        assert caught.value.status == 401
    assert joined.api.delete("/sites/other").status_code == 204
    with pytest.raises(Refused) as caught:
        intruder.wishes("other", known.server_id)
    assert caught.value.status == 401
    joined.completes("theirs")


def test_an_agent_one_version_older_is_served_and_two_older_is_told(joined: World) -> None:
    token = joined.post("/sites", {"name": "aged"})["join_token"]
    agent = Intruder(joined)
    with pytest.raises(Refused) as caught:
        agent.joins(token, PROTOCOL - 2)
    assert caught.value.code == "AgentTooOld"
    known = agent.joins(token, PROTOCOL - 1)
    agent.beats("aged", known.server_id, PROTOCOL - 1)
    assert agent.wishes("aged", known.server_id) == []
    assert joined.get("/sites/aged")["protocol"] == PROTOCOL - 1
    for ask in (
        lambda: agent.beats("aged", known.server_id, PROTOCOL - 2),
        lambda: agent.wishes("aged", known.server_id),
    ):
        with pytest.raises(Refused) as caught:
            ask()
        assert caught.value.code == "AgentTooOld"
        assert "Upgrade the agent" in caught.value.hint
    assert joined.api.delete("/sites/aged").status_code == 204


def _token(cluster: Cluster, namespace: str, pod: str, audience: str = "ferry-gateway") -> str:
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}") if pod else ()
    said = (f"--audience={audience}",) if audience else ()
    return cluster.kubectl("create", "token", "default", "-n", namespace, *said, *bound).strip()


def _spec(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    body = json.loads(cluster.kubectl("get", "mljob", resource_name(uid(name)), "-n", namespace, "-o", "json"))
    found: dict[str, Any] = body["spec"]
    return found


def _handmade(name: str, namespace: str) -> JobOrder:
    return JobOrder(
        workspace="default", name=name, compute="team-a", namespace=namespace, command="echo taken",
        environment=environment_order(image=IMAGE),
    )  # fmt: skip


def _make(cluster: Cluster, namespace: str, name: str, order: JobOrder, grant: str) -> None:
    wish = Wish(uid=uid(name), generation=1, cursor=1, order=order, grant=grant)
    cluster.kubectl("create", "-f", "-", given=json.dumps(body_of(wish, namespace)))


def _status(cluster: Cluster, *where: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(cluster.kubectl("get", *where)).get("status") or {}
    except KubeboxError:
        return {}
    return found
