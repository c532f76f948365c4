"""`collect` of a deployment's pod: from the script's post to the gateway's store, over TLS and as the pod itself."""

import json
import os
import urllib.request

import pytest

from cluster_gateway_play import PlayClusterGateway
from collector_play import TOLD
from ferryml.runner.door import Door
from ferryml.runner.modelrecords import PREFIX, Later, Never
from ferryml.runner.recording import Sender
from fixtures_serving import until
from pod_play import PlayPod

UID = "endpoint.w.e"
KEY = (UID, "blue", "model_inputs", "2026/03/04/05")
POD = "j-0123456789-1-"


def serve(gateway: PlayClusterGateway) -> None:
    grant = gateway.server.grant(UID, kind="Endpoint", name="e", writes=("captures", "logs"))
    assert gateway.admit(uid=UID, grant=grant, kind="serving", prefix=POD).status_code == 200


def kept(gateway: PlayClusterGateway) -> list[tuple[str, bytes]]:
    parts = gateway.gateway._parts
    rows = parts.db.rows("SELECT path, digest FROM collected ORDER BY path")
    return [(str(path), parts.store.read(str(digest), 1 << 20)) for path, digest in rows]


def test_what_the_script_posts_is_in_the_gateway_when_the_pod_ends(
    pods_gateway: PlayClusterGateway, tmp_path, monkeypatch
):
    monkeypatch.setenv("FERRY_POD_UID", "0a1b")
    serve(pods_gateway)
    told = {**TOLD, "every_s": 60}
    pod = PlayPod(pods_gateway, tmp_path, kind="serving", uid=UID, collects=told)
    collect = pod._runner("collect")
    head = {"Content-Type": "application/json", "ce-type": PREFIX + "model_inputs", "trace-id": "a1"}
    post = urllib.request.Request(f"http://127.0.0.1:{pod.port}/modeldata/log", b'[{"a": 1}]', head)

    def posted():
        try:
            with urllib.request.urlopen(post, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            assert collect.poll() is None, pod.said("collect")
            return False

    until(posted)
    assert os.waitpid(collect.pid, os.WNOHANG) == (0, 0)
    collect.terminate()
    assert collect.wait(10) == 0
    ((path, lines),) = kept(pods_gateway)
    assert path.rpartition("/")[2].startswith("0a1b-")
    assert json.loads(lines)["data"] == [{"a": 1}]


def test_a_stranger_waits_and_what_is_wrong_is_given_up(pods_gateway: PlayClusterGateway):
    token = pods_gateway.token("default", "team", "ferry-gateway", f"{POD}0-x")
    door = Door(pods_gateway.url, token, 0.1, ca=str(pods_gateway.authority))
    sender = Sender(door)
    with pytest.raises(Later):
        sender(KEY, "n-1", b"{}\n")
    serve(pods_gateway)
    sender(KEY, "n-1", b"{}\n")
    assert kept(pods_gateway) == [("2026/03/04/05/n-1.jsonl", b"{}\n")]
    with pytest.raises(Never):
        sender((*KEY[:3], "../up"), "n-1", b"{}\n")
    door.close()
    gone = Sender(Door("http://127.0.0.1:9", token, 0.1))
    with pytest.raises(Later):
        gone(KEY, "n-1", b"{}\n")
