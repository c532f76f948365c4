"""The harness keeps its promises: clusters that behave as real ones, walls that hold, faults that come and go."""

import base64
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kubebox import control_groups, crowd, faults, images
from kubebox.cluster import sweep
from kubebox.firewall import Firewall
from kubebox.network import Addresses, reserving
from kubebox.places import CHECKOUT, run_folder
from kubebox.processes import wait_for

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: hello}
spec:
  completions: 2
  parallelism: 2
  completionMode: Indexed
  template:
    metadata: {labels: {app: hello}}
    spec:
      terminationGracePeriodSeconds: 1
      restartPolicy: Never
      subdomain: hello
      initContainers:
      - {name: collect, image: "python:3.11-slim-bookworm", restartPolicy: Always, command: [sleep, infinity]}
      containers:
      - name: main
        image: python:3.11-slim-bookworm
        command: [python, -c, "import socket, time; time.sleep(1); print(socket.gethostbyname('hello-0.hello'))"]
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {clusterIP: None, selector: {app: hello}, publishNotReadyAddresses: true}
"""


def test_an_indexed_job_with_a_sidecar_runs_and_finds_its_peers(cluster, namespace):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=JOB)
    cluster.kubectl("wait", "-n", namespace, "--for=condition=complete", "job/hello", "--timeout=90s")
    pods = json.loads(cluster.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    addresses = {pod["status"]["podIP"] for pod in pods}
    said = cluster.kubectl("logs", "-n", namespace, "-l", "app=hello", "-c", "main").split()
    assert len(said) == 2
    assert set(said) <= addresses


def probe(name, **spec):
    """A pod that waits for what `ask` has it do."""
    main = {"name": "main", "image": "python:3.11-slim-bookworm", "command": ["sleep", "infinity"]}
    body = {"terminationGracePeriodSeconds": 0, "containers": [main | spec.pop("main", {})], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


def server(name, **spec):
    """A pod that says `hi` at port 9000, and is ready when it does."""
    serve = "import socket\ndoor = socket.create_server(('', 9000))\nwhile True: door.accept()[0].sendall(b'hi')"
    ready = {"tcpSocket": {"port": 9000}, "periodSeconds": 1}
    return probe(name, main={"command": ["python", "-c", serve], "readinessProbe": ready}, **spec)


def place(cluster, namespace, *pods):
    cluster.apply(*pods, namespace=namespace)
    names = [f"pod/{pod['metadata']['name']}" for pod in pods]
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", *names, "--timeout=90s")


def reaches(cluster, namespace, pod, address):
    """Whether a program in the pod can connect, within 3 s."""
    host, port = address.rsplit(":", 1)
    code = f"import socket; socket.create_connection(({host!r}, {port}), 3); print('reached')"
    told = cluster.kubectl("exec", "-n", namespace, pod, "--", "python", "-c", code, check=False)
    return told.strip() == "reached"


def this_machine_reaches(host, port):
    """From a process of its own: the test process may reach loopback only."""
    code = f"import socket; socket.create_connection(({host!r}, {port}), 2)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30).returncode == 0


@pytest.fixture
def listening():
    """Two ports of 127.0.0.1 at which somebody answers."""
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield [door.getsockname()[1] for door in doors]
    for door in doors:
        door.close()


def test_walls_hold_in_both_directions(clusters, cluster, new_namespace, listening):
    site = clusters.kubebox()
    namespace = new_namespace(site)
    place(site, namespace, probe("worker"), server("ferry-gateway-0"))
    first, second = (site.expose(port) for port in listening)
    assert site.expose(listening[0]) == first  # asked twice, one door
    gateway_ip = pod_ip(site, namespace, "ferry-gateway-0")
    api = "kubernetes.default.svc.cluster.local:443"

    assert reaches(site, namespace, "worker", first)
    assert this_machine_reaches(site.at.node(0), 6443)

    site.set_firewall(Firewall.parse("outbound-only"))
    assert not this_machine_reaches(site.at.node(0), 6443)
    assert reaches(site, namespace, "worker", first)

    site.set_firewall(Firewall.parse(f"proxy-only={listening[0]}"))
    assert reaches(site, namespace, "worker", first)
    assert not reaches(site, namespace, "worker", second)

    site.set_firewall(Firewall.parse("no-pod-egress"))
    assert not reaches(site, namespace, "worker", first)
    assert reaches(site, namespace, "worker", api)
    assert reaches(site, namespace, "ferry-gateway-0", first)
    assert reaches(site, namespace, "worker", f"{gateway_ip}:9000")


def test_the_hub_has_a_name_and_unknown_names_are_refused_quickly(clusters, cluster, namespace):
    site = clusters.kubebox()
    place(site, namespace, probe("worker"))
    code = "import socket; print(socket.gethostbyname('hub.kubebox.test'), end=' ')\n"
    code += (
        "try: socket.gethostbyname('nowhere.example')\nexcept socket.gaierror as e: print(e.errno == socket.EAI_NONAME)"
    )
    told = site.kubectl("exec", "-n", namespace, "worker", "--", "python", "-c", code)
    assert told.split() == [site.hub, "True"]


def test_a_cut_link_is_silent_and_mends(clusters, cluster, new_namespace, listening):
    site = clusters.kubebox()
    namespace = new_namespace(site)
    place(site, namespace, probe("worker"))
    address = site.expose(listening[0])
    faults.cut_link(site)
    assert not reaches(site, namespace, "worker", address)
    faults.restore_link(site)
    assert reaches(site, namespace, "worker", address)


def test_pods_of_two_nodes_talk_and_services_lead_to_them(clusters, cluster, new_namespace):
    site = clusters.kubebox(nodes=2)
    namespace = new_namespace(site)
    one, two = (node.name for node in site.nodes[:2])
    place(site, namespace, server("server", nodeName=one), probe("near", nodeName=one), probe("far", nodeName=two))
    site.kubectl("label", "-n", namespace, "pod", "server", "app=server")
    site.kubectl("expose", "-n", namespace, "pod", "server", "--port=80", "--target-port=9000", "--name=service")
    for pod in ("server", "near", "far"):
        assert reaches(site, namespace, pod, f"{pod_ip(site, namespace, 'server')}:9000"), pod
        wait_for(lambda pod=pod: reaches(site, namespace, pod, f"service.{namespace}:80"), 30, pod, site.tail)
    local = site.forward(pod_ip(site, namespace, "server"), 9000)
    with socket.create_connection(("127.0.0.1", local), 10) as connection:
        assert connection.recv(2) == b"hi"


def test_a_frozen_node_is_not_ready_and_a_killed_one_comes_back(clusters, cluster, new_namespace):
    site = clusters.kubebox(nodes=2)
    namespace = new_namespace(site)
    node = site.nodes[1]
    place(site, namespace, probe("victim", nodeName=node.name))

    faults.freeze_node(node)
    site.kubectl("wait", "--for=condition=Ready=Unknown", f"node/{node.name}", "--timeout=90s")
    faults.thaw_node(node)
    site.kubectl("wait", "--for=condition=Ready", f"node/{node.name}", "--timeout=60s")

    node.kill()
    assert control_groups.processes(node.group) == []
    node.revive()
    site.kubectl("wait", "--for=condition=Ready", f"node/{node.name}", "--timeout=60s")
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}=1"
    site.kubectl("wait", "-n", namespace, f"--for={restarts}", "pod/victim", "--timeout=90s")


def test_a_node_without_power_is_silent_and_comes_back(clusters, cluster, new_namespace):
    """Neither a connection that stands nor a new one is told; a killed node's kernel would refuse them."""
    site = clusters.kubebox(nodes=2)
    namespace = new_namespace(site)
    one, two = site.nodes[:2]
    place(site, namespace, server("server", nodeName=two.name), probe("near", nodeName=one.name))
    address = f"{pod_ip(site, namespace, 'server')}:9000"
    wait_for(lambda: reaches(site, namespace, "near", address), 30, "the pods do not meet", site.tail)

    two.power_off()
    assert control_groups.processes(two.group) == []
    host, port = address.split(":")
    code = f"""
import errno, socket
try: socket.create_connection(({host!r}, {port}), 2)
except TimeoutError: print("silent")
except OSError as error: print({{errno.EHOSTUNREACH: "silent"}}.get(error.errno, error))
"""
    assert site.kubectl("exec", "-n", namespace, "near", "--", "python", "-c", code).strip() == "silent"
    site.kubectl("wait", "--for=condition=Ready=Unknown", f"node/{two.name}", "--timeout=90s")

    two.revive()
    site.kubectl("wait", "--for=condition=Ready", f"node/{two.name}", "--timeout=60s")
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}=1"
    site.kubectl("wait", "-n", namespace, f"--for={restarts}", "pod/server", "--timeout=90s")
    place(site, namespace, server("server", nodeName=two.name))
    assert reaches(site, namespace, "near", f"{pod_ip(site, namespace, 'server')}:9000")


def test_the_api_server_goes_and_comes(clusters, cluster):
    site = clusters.kubebox()
    faults.stop_api_server(site)
    assert not site.api.ready()
    faults.restart_api_server(site)
    assert site.kubectl("get", "--raw", "/readyz") == "ok"


def test_fake_devices_are_scheduled_and_taints_keep_pods_away(clusters, cluster, new_namespace):
    site = clusters.kubebox()
    namespace = new_namespace(site)
    node = site.nodes[0]
    limits = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    faults.fake_resource(site, node, "nvidia.com/gpu", 2)
    place(site, namespace, probe("gpu", main=limits))
    for every in site.nodes:
        faults.taint(site, every, "only", "others")
    site.apply(probe("kept-away"), namespace=namespace)
    site.kubectl("wait", "-n", namespace, "--for=condition=PodScheduled=False", "pod/kept-away", "--timeout=30s")
    faults.heal(site)
    site.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/kept-away", "--timeout=60s")
    assert "nvidia.com/gpu" not in site.api.get(f"/api/v1/nodes/{node.name}")["status"]["allocatable"]


def test_claims_get_volumes_that_go_with_them(cluster, namespace):
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    user = {"volumeMounts": [{"name": "data", "mountPath": "/data"}], "securityContext": {"runAsUser": 1234}}
    cluster.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        namespace=namespace,
    )
    place(cluster, namespace, probe("one", volumes=volumes, main=user), probe("two", volumes=volumes, main=user))
    cluster.kubectl("exec", "-n", namespace, "one", "--", "sh", "-c", "echo kept > /data/file")
    assert cluster.kubectl("exec", "-n", namespace, "two", "--", "cat", "/data/file") == "kept\n"
    volume = cluster.kubectl("get", "pvc", "-n", namespace, "data", "-o", "jsonpath={.spec.volumeName}")
    cluster.kubectl("delete", "-n", namespace, "pod/one", "pod/two", "pvc/data")
    cluster.kubectl("wait", "--for=delete", f"pv/{volume}", "--timeout=30s")


def test_what_a_crashed_run_left_behind_is_removed(clusters, cluster):
    clusters.kubebox()
    folder = run_folder() / f"crash-{os.getpid()}"
    code = (
        "import os, pathlib, signal; from kubebox.cluster import Cluster\n"
        f"cluster = Cluster.up('crash', folder=pathlib.Path({str(folder)!r}), owner=os.getpid())\n"
        "print(cluster.at.index, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    env = os.environ | {"PYTHONPATH": str(CHECKOUT / "tests")}
    crashed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
    assert crashed.returncode == -9, crashed.stderr
    at = Addresses(int(crashed.stdout))
    assert control_groups.processes(at.namespace(0))
    with reserving():
        sweep()
    assert not folder.exists()
    assert not control_groups.processes(at.namespace(0)) + control_groups.processes(at.name)
    assert not [path for path in Path("/run/netns").iterdir() if path.name == at.name]
    assert str(folder) not in Path("/proc/self/mounts").read_text()


def test_an_image_is_loaded_anew_when_it_changed(clusters, cluster, tmp_path):
    node = clusters.kubebox().nodes[0]
    (tmp_path / "root").mkdir()
    name = "docker.io/library/changing:1"

    def loaded(text: str, tar: str) -> str:
        (tmp_path / "root/word").write_text(text)
        node.load_image(images.archive(tmp_path / "root", name, tmp_path / tar, ["/word"]))
        return node.images()[name]

    first = loaded("first", "a.tar")
    second = loaded("second", "b.tar")
    assert second != first
    node.load_image(tmp_path / "b.tar")
    assert node.images()[name] == second
    node.load_image(tmp_path / "a.tar")
    assert node.images()[name] == first


def test_images_are_built_and_pulled_with_a_password(clusters, cluster, new_namespace, image_registry, tmp_path):
    site = clusters.kubebox()
    namespace = new_namespace(site)
    (tmp_path / "Containerfile").write_text(f"FROM {images.BASE}\nRUN echo made > /made\nUSER 1234\n")
    image_registry.push(images.build(tmp_path / "Containerfile", tmp_path, "kubebox.test/made:1"), "team/made:1")
    address = site.expose(image_registry.port)
    for node in site.nodes:
        node.trust_registry(address)
    secret = base64.b64encode(f"{image_registry.user}:{image_registry.password}".encode()).decode()
    keys = {".dockerconfigjson": json.dumps({"auths": {address: {"auth": secret}}})}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson"}
    site.apply(kind | {"metadata": {"name": "pull"}, "stringData": keys}, namespace=namespace)
    main = {"image": f"{address}/team/made:1"}
    site.apply(probe("stranger", main=main), namespace=namespace)
    place(site, namespace, probe("friend", main=main, imagePullSecrets=[{"name": "pull"}]))
    said = site.kubectl("exec", "-n", namespace, "friend", "--", "sh", "-c", "id -u; cat /made")
    assert said.split() == ["1234", "made"]
    state = "jsonpath={.status.phase} {.status.containerStatuses[0].state.waiting.reason}"
    refused = ("Pending ErrImagePull", "Pending ImagePullBackOff")
    stranger = ("get", "pod", "-n", namespace, "stranger", "-o", state)
    wait_for(lambda: site.kubectl(*stranger) in refused, 60, "nobody was refused", site.tail)


def test_played_nodes_take_pods_that_tolerate_them(clusters, cluster, new_namespace, component):
    site = clusters.kubebox()
    namespace = new_namespace(site)
    names = crowd.start(site, component("kwok")["kwok"], 20)
    try:
        spec = {"tolerations": [{"key": crowd.TAINT["key"], "operator": "Exists"}], "nodeSelector": crowd.LABELS}
        place(site, namespace, probe("played", **spec))
        node = site.kubectl("get", "pod", "-n", namespace, "played", "-o", "jsonpath={.spec.nodeName}")
        assert node in names
    finally:
        crowd.stop(site)


def pod_ip(cluster, namespace, name):
    return cluster.kubectl("get", "pod", "-n", namespace, name, "-o", "jsonpath={.status.podIP}")
