import hashlib
import json

import pytest

from pod_play import PlayPod


@pytest.fixture
def a_pod(pods_gateway, tmp_path):
    made = []

    def make(**plan):
        made.append(PlayPod(pods_gateway, tmp_path / f"pod{len(made)}", **plan))
        return made[-1]

    yield make
    for pod in made:
        pod.close()


def test_code_and_inputs_lie_where_the_program_looks(a_pod, pods_gateway, play_server):
    code = b"print(1)\n"
    digest = play_server.keep(code)
    tree = json.dumps(
        {"entries": [{"digest": digest, "executable": True, "path": "main.py", "size": len(code)}]},
        sort_keys=True, separators=(",", ":"),
    ).encode()  # fmt: skip
    root = play_server.keep(tree)
    pods_gateway.admit(grant=play_server.grant(reads=(root,)))
    item = {"what": "code", "kind": "tree", "digest": root, "to": "code", "read_only": False}
    pod = a_pod(fetch=[item])
    assert pod.stage() == 0, pod.said("stage")
    found = pod.folder / "code" / "main.py"
    assert found.read_bytes() == code
    assert found.stat().st_mode & 0o777 == 0o775  # the program runs as another user of the same group
    assert pod.state["message"] == "starting the program"


def test_what_cannot_be_had_is_said_and_ends_it(a_pod, pods_gateway):
    pods_gateway.admit()
    item = {"what": "input x", "kind": "file", "digest": "sha256:" + "a" * 64, "to": "x", "read_only": False}
    pod = a_pod(fetch=[item])
    assert pod.stage() == 1
    assert (pod.state["phase"], pod.state["code"]) == ("done", "StagingFailed")
    assert pod.state["message"].startswith("fetching input x: BadGrant")


def test_a_prepared_environment_is_unpacked(a_pod, pods_gateway, tmp_path):
    from ferryml.runner.archive import pack

    source = tmp_path / "env"
    (source / "bin").mkdir(parents=True)
    (source / "bin/python").symlink_to("/usr/bin/python3")
    (source / "lib.py").write_text("x = 1\n")
    digest = pack(str(source), str(tmp_path / "env.tar.gz"))
    pods_gateway.admit(prefix="prepare-k1-", uid="environment.k1", kind="preparation", namespace="ferry-system")
    maker, data = pods_gateway.pod("prepare-k1-0-x", "ferry-system"), (tmp_path / "env.tar.gz").read_bytes()
    assert maker.put(f"/v1/blobs/{digest}", content=data).status_code == 200
    assert maker.post("/v1/environment", json={"digest": digest, "lock": ""}).status_code == 200
    pods_gateway.admit()
    pod = a_pod(environment={"digest": digest, "size": len(data)})
    assert pod.stage() == 0, pod.said("stage")
    assert (pod.top / "env/lib.py").read_text() == "x = 1\n"
    assert (pod.top / "env/bin/python").is_symlink()
    assert not (pod.folder / "environment.tar.gz").exists()


def test_inputs_from_outside_come_through_the_gateway(a_pod, pods_gateway):
    pods_gateway.admit()
    data = b"a,b\n"
    digest = hashlib.sha256(data).hexdigest()
    parts = pods_gateway.gateway._parts
    parts.store.put([data])
    pods_gateway.agent.post(
        "/admin/v1/sources", json={"uid": "job.w.j", "sources": {"inputs.x": {"uri": "https://h/x.csv"}}}
    )
    parts.db.run("UPDATE sources SET digest = ?", f"sha256:{digest}")
    item = {"what": "input x", "kind": "uri", "uri": "https://h/x.csv", "source": "inputs.x", "to": "x.csv"}
    pod = a_pod(fetch=[{**item, "read_only": True}])
    assert pod.stage() == 0, pod.said("stage")
    assert (pod.folder / "x.csv").read_bytes() == data


def test_hosts_that_do_not_appear_are_named(a_pod, pods_gateway):
    pods_gateway.admit()
    pod = a_pod(await_hosts=[["no-such-host.invalid"]], hosts_patience_s=0.1)
    assert pod.stage() == 1
    assert "no-such-host.invalid did not appear" in pod.state["message"]


def test_a_build_gets_its_folder_and_nothing_else(a_pod, pods_gateway, play_server):
    digest = play_server.keep(b"FROM x\n")
    item = {"what": "the build context", "kind": "file", "digest": digest, "to": "context/Dockerfile"}
    pods_gateway.admit(grant=play_server.grant(reads=(digest,)))
    pod = a_pod(kind="build", fetch=[{**item, "read_only": False}], folders=[])
    del pod.plan["command"], pod.plan["await_hosts"]
    assert pod.stage() == 0, pod.said("stage")
    assert (pod.folder / "context" / "Dockerfile").read_bytes() == b"FROM x\n"
    assert not (pod.folder / "code").exists()
