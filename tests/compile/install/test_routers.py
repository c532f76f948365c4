"""Router pods: nothing unless asked for; then small, replaceable, and never without their last counts."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from ferryml.compile.install.access import access
from ferryml.compile.install.config import kept
from ferryml.compile.install.manifests import agent
from ferryml.compile.install.policies import policies
from ferryml.compile.install.routers import FOLDER, routers
from ferryml.compile.install.values import FIXED_ROUTER_SETTINGS, AgentValues
from ferryml.gateway.pods import POD_AUDIENCE
from ferryml.settings import RouterSettings
from ferryml.settings.load import load
from fixtures_components import unused_port
from router_load import eventually

TLS = {"enabled": True, "tls": {"secret": "score-tls", "cname": "score.example"}}


def values(router=None, **inference):
    return AgentValues.model_validate(
        {"inference": {**TLS, **inference, "router": router or {}}, "namespaces": ["team"]}
    )


def made(chosen):
    return {(body["kind"], body["metadata"]["name"]): body for body in routers(chosen, "sys", "1")}


def template(chosen):
    return made(chosen)["Deployment", "ferry-router"]["spec"]["template"]


def pod(chosen):
    return template(chosen)["spec"]


def test_nothing_of_it_unless_endpoints_are_wanted():
    assert routers(AgentValues(), "sys", "1") == []
    assert not [body for body in agent(AgentValues(), "sys", "1") if "router" in body["metadata"]["name"]]


def test_haproxy_ends_before_what_reads_its_counts():
    spec = pod(values())
    assert [one["name"] for one in spec["containers"]] == ["haproxy"]
    assert {one["name"]: one["restartPolicy"] for one in spec["initContainers"]} == {
        "sidecar": "Always",
        "tap": "Always",
    }
    for one in (*spec["containers"], *spec["initContainers"]):
        assert one["securityContext"]["readOnlyRootFilesystem"]
        assert one["image"] == "ferry-router:1"
    assert spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1].endswith("; sleep 5")
    assert spec["terminationGracePeriodSeconds"] > 300, "the longest request may end"


def test_the_tap_alone_hands_records_to_the_gateway():
    spec = pod(values())
    holders = [
        one["name"]
        for one in (*spec["containers"], *spec["initContainers"])
        if "gateway" in {mount["name"] for mount in one["volumeMounts"]}
    ]
    assert holders == ["tap"]
    tap = next(one for one in spec["initContainers"] if one["name"] == "tap")
    settings = load(RouterSettings, {one["name"]: one.get("value", "") for one in tap["env"]})
    assert settings.collect_url == "https://ferry-gateway.sys.svc:8443"
    folder = next(one["mountPath"] for one in tap["volumeMounts"] if one["name"] == "gateway")
    assert {str(settings.collect_ca_file), str(settings.collect_token_file)} == {f"{folder}/ca.pem", f"{folder}/token"}
    token = spec["volumes"][-1]["projected"]["sources"][1]["serviceAccountToken"]
    assert token["audience"] == POD_AUDIENCE, "it opens the door for pods, not the API server"
    callers = [body for body in policies(values(), "sys") if body["metadata"]["name"] == "ferry-gateway"]
    assert "ferry-router" in str(callers)
    assert "ferry-router" not in str(policies(AgentValues(), "sys"))


def test_only_the_sidecar_may_speak_to_the_api_by_name():
    bodies = {(body["kind"], body["metadata"]["name"]): body for body in access(values(), "sys")}
    rules = bodies["Role", "ferry-router"]["rules"]
    names = {name for one in rules for name in one["resourceNames"]}
    assert names == {"ferry-router-table", "ferry-router-key", "ferry-router-door", "score-tls"}
    assert not any("update" in one["verbs"] for one in rules if "ferry-router-table" in one["resourceNames"])
    assert bodies["ClusterRole", "sys-router"]["rules"] == [
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]}
    ]
    agents = [
        one for one in bodies["Role", "ferry-agent"]["rules"] if "ferry-router-key" in one.get("resourceNames", ())
    ]
    assert agents == [], "the routers' private key is theirs alone"


def test_three_stand_apart_and_go_one_by_one():
    three = values({"replicas": 3})
    rule = pod(three)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    spec = made(three)["Deployment", "ferry-router"]["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    budget = made(three)["PodDisruptionBudget", "ferry-router"]["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert budget["selector"]["matchLabels"].items() <= template(three)["metadata"]["labels"].items()
    assert ("PodDisruptionBudget", "ferry-router") not in made(values())
    assert "affinity" not in pod(values())
    assert made(values())["Deployment", "ferry-router"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def environ(chosen):
    return {one["name"]: one.get("value", "") for one in pod(chosen)["initContainers"][0]["env"]}


def test_peers_only_where_there_are_some():
    assert environ(values())["FERRY_ROUTER_PEER_BIND"] == ""
    assert environ(values({"replicas": 3}))["FERRY_ROUTER_PEER_BIND"] == "0.0.0.0:9401"


def test_what_the_chart_decides_cannot_be_said_twice():
    assert set(FIXED_ROUTER_SETTINGS) <= set(RouterSettings.model_fields)
    said = {
        name.removeprefix("FERRY_ROUTER_").lower() for name in environ(values()) if name.startswith("FERRY_ROUTER_")
    }
    assert said <= set(FIXED_ROUTER_SETTINGS)


@pytest.mark.parametrize(
    ("inference", "words"),
    [
        ({"tls": {}}, "need a certificate"),
        ({"tls": {"secret": "x"}}, "cname is needed"),
        ({"tls": {"certificate": "x", "cname": "y"}}, "certificate and key"),
        ({"tls": {"secret": "x", "cname": "y"}, "allow_insecure_connections": True}, "exclude each other"),
        ({"tls": {"secret": "s", "certificate": "x", "key": "z", "cname": "y"}}, "certificate and key"),
    ],
)
def test_what_would_leave_keys_in_the_clear_is_refused(inference, words):
    with pytest.raises(ValidationError, match=words):
        values(**inference)


def test_plain_http_only_when_it_is_said():
    plain = values(tls={}, allow_insecure_connections=True)
    assert made(plain)["Service", "ferry-router"]["spec"]["ports"][0] == {
        "name": "http",
        "port": 80,
        "targetPort": "score",
    }
    assert environ(plain)["FERRY_ROUTER_TLS_SECRET"] == ""
    assert pod(plain)["containers"][0]["readinessProbe"]["httpGet"]["scheme"] == "HTTP"


def test_a_certificate_in_the_values_is_kept_in_a_secret():
    chosen = values(tls={"certificate": "c", "key": "k", "cname": "n"})
    secret = next(body for body in kept(chosen, "sys") if body["metadata"]["name"] == "ferry-router-tls")
    assert set(secret["data"]) == {"tls.crt", "tls.key"}
    assert environ(chosen)["FERRY_ROUTER_TLS_SECRET"] == "ferry-router-tls"


def test_who_may_call_which_port():
    def rules(chosen):
        body = next(one for one in policies(chosen, "sys") if one["metadata"]["name"] == "ferry-router")
        return {rule["ports"][0]["port"]: rule.get("from") for rule in body["spec"]["ingress"]}

    plain = rules(values())
    assert plain[8080] is None
    assert plain[9402] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "ferry-agent"}}}]
    assert plain[9401] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "ferry-router"}}}]
    assert 9403 not in plain
    assert rules(values({"podMonitor": True}))[9403] is None


def test_a_monitor_only_for_those_who_have_an_operator_for_it():
    assert ("PodMonitor", "ferry-router") in made(values({"podMonitor": True}))
    assert ("PodMonitor", "ferry-router") not in made(values({"metrics": True}))
    notes = made(values({"metrics": True}))["Deployment", "ferry-router"]["spec"]["template"]["metadata"]["annotations"]
    assert notes == {"prometheus.io/scrape": "true", "prometheus.io/port": "9403"}


def told(path, words):
    """What HAProxy's master says to it; one that begins anew hangs up instead."""
    with socket.socket(socket.AF_UNIX) as master:
        try:
            master.connect(str(path))
            master.sendall(f"{words}\n".encode())
            master.shutdown(socket.SHUT_WR)
            return master.recv(4096).decode()
        except OSError as error:
            return type(error).__name__


@pytest.fixture
def haproxy(component):
    """Begins HAProxy's container as a process, and says where its files and sockets are."""
    component("haproxy")
    base = Path(tempfile.mkdtemp(prefix="fr-"))  # the paths of sockets must be short
    for name in ("files", "run"):
        (base / name).mkdir()
    command = [part.replace(FOLDER, str(base)) for part in pod(values())["containers"][0]["command"]]
    begun = []

    def begin():
        begun.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True))
        return begun[-1], base

    yield begin
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
    shutil.rmtree(base)


def test_one_that_ends_before_its_table_came_goes_at_once(haproxy):
    process, _ = haproxy()
    process.terminate()
    assert process.wait(2) in (0, -signal.SIGTERM)  # the latter: before the shell had read its first words


def test_an_end_that_comes_while_haproxy_reads_its_files_anew_is_not_lost(haproxy):
    process, base = haproxy()
    port = unused_port()
    (base / "files" / "haproxy.cfg").write_text(
        f"defaults\n  mode http\n  timeout client 9s\nfrontend all\n  bind 127.0.0.1:{port}\n"
    )
    eventually(lambda: "worker" in told(base / "run" / "master.sock", "show proc"))
    assert told(base / "run" / "master.sock", "reload") in ("", "ConnectionResetError")
    process.terminate()
    assert process.wait(5) == 0
