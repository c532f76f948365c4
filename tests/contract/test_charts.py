"""The chart ferry-agent and the plain manifests are one installation; both charts say no before anything is made."""

import json
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ferryml.compile.install import manifests
from ferryml.compile.install.removal import removal
from ferryml.compile.install.values import SECRET_SITE_SETTINGS, AgentValues
from ferryml.settings import ClusterSettings, RouterSettings, ServerSettings, SiteSettings, load

CHARTS = Path(__file__).parents[2] / "deploy" / "helm"
VERSION = next(
    line.split(": ")[1].strip('"')
    for line in (CHARTS / "ferry-agent/Chart.yaml").read_text().splitlines()
    if line.startswith("appVersion")
)
SITE = {"name": "onprem", "server_url": "https://ferry.example"}
BOTH = {"enabled": True, "tls": {"secret": "x", "cname": "y"}}
SERVER = {"tls": {"secret": "tls"}}
CHOICES = {
    "the least": {},
    "a proxy, authorities, secrets": {
        "site": {**SITE, "proxy": "http://user:p,w@proxy:3128", "max_log_bytes": 1073741824, "accept_zone_bound": True},
        "cluster": {"conda_channel": "https://conda.example", "node_lost_s": 30, "stage_cpu": "200m"},
        "ca": {"pem": "one\ntwo\n", "packages": True}, "joinToken": "join_onprem_x",
        "gateway": {"secrets": ["nfs-password", "s3"], "store": {"kind": "ephemeral"}},
    },
    "other places": {
        "namespaces": ["team-a", "made-by-it", "team-b"],
        "environments": {"namespace": "made-by-it", "create": False},
        "images": {"registry": "registry.example/x/", "tag": "1.2", "pullPolicy": "Always", "pullSecrets": ["pull"]},
        "nodeSelector": {"pool": "system"}, "tolerations": [
            {"key": "gpu", "operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
        ],
        "priorityClass": "system-cluster-critical", "userId": 0, "networkPolicy": False,
        "workloads": {
            "nodeSelector": {"pool": "ml"},
            "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
            "imageAliases": {"a:1": "registry.example/a:1", "b<&>": "c"},
        },
        "ca": {"configMap": "company-ca", "key": "bundle.crt"},
        "gateway": {"store": {"kind": "existing", "claim": "mine"}}, "agent": {"replicas": 2},
    },
    "images are built": {
        "builds": {
            "registry": "r.example:5000/x", "secret": "push", "networks": ["10.1.0.0/16", "192.0.2.7/32"],
            "proxy": "http://proxy:3128", "userNamespaces": True,
        },
        "ca": {"pem": "one\n", "builds": True}, "cluster": {"build_memory": "8Gi"}, "namespaces": ["team-a", "team-b"],
    },
    "images are built by a cluster-wide agent": {
        "builds": {
            "registry": "r.example/x", "insecure": True, "namespace": "made-by-it", "create": False,
        },
        "networkPolicy": False, "clusterWide": True, "purge": True,
    },
    "endpoints without TLS": {
        "inference": {"enabled": True, "allowInsecureConnections": True, "corsOrigins": ["https://a", "https://b"]},
        "cluster": {"serving_node_lost_s": 5},
        "router": {"max_body_bytes": 1048576, "threads": 1},
    },
    "three routers with a certificate": {
        "namespaces": ["team-a", "team-b"],
        "inference": {
            "enabled": True, "tls": {"certificate": "one\n", "key": "two\n", "cname": "score.example"},
            "router": {"replicas": 3, "podMonitor": True, "service": {
                "type": "LoadBalancer", "port": 8443, "annotations": {"internal": "true"},
                "sourceRanges": ["10.0.0.0/8"],
            }},
        },
    },
    "the whole cluster, and nothing kept": {
        "inference": {
            "enabled": True, "tls": {"secret": "score-tls", "cname": "score.example"},
            "router": {"metrics": True, "service": {"type": "NodePort", "nodePort": 30443}},
        },
        "clusterWide": True, "connect": {"enabled": True}, "cluster": {"create_namespaces": True}, "purge": True,
        "gateway": {"store": {"size": "5Gi", "storageClass": "fast"}},
    },
}  # fmt: skip


@pytest.fixture
def helm(component):
    program = component("helm")["helm"]

    def run(*args, values=None):
        done = subprocess.run(
            [program, *args], input=json.dumps(values or {}), capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def template(helm):
    def run(chart, values, namespace="ferry-system"):
        args = ("template", "ferry", str(CHARTS / chart), "--kube-version", "1.29.0", "--namespace", namespace)
        status, out, err = helm(*args, "--values", "-", values=values)
        assert status == 0, err
        return [document for document in YAML(typ="safe", pure=True).load_all(out) if document]

    return run


@pytest.fixture
def refusal(helm):
    def run(chart, values):
        status, _, err = helm(
            "template", "ferry", str(CHARTS / chart), "--kube-version", "1.29.0", "-f", "-", values=values
        )
        assert status != 0
        return err

    return run


def by_name(documents):
    return {(d["kind"], d["metadata"].get("namespace", ""), d["metadata"]["name"]): d for d in documents}


def without_helm(document):
    """As a plain manifest says it: hooks and keeping are Helm's own words."""
    made = json.loads(json.dumps(document))
    notes = made["metadata"].get("annotations", {})
    for name in [name for name in notes if name.startswith("helm.sh/")]:
        del notes[name]
    if not notes:
        made["metadata"].pop("annotations", None)
    return made


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("namespace", ["ferry-system", "elsewhere"])
def test_the_chart_and_the_plain_manifests_are_the_same(template, choice, namespace):
    values = {"site": SITE, **CHOICES[choice]}
    charted = by_name(map(without_helm, template("ferry-agent", values, namespace)))
    chosen = AgentValues.model_validate(values)
    plain = [
        *manifests.agent(chosen, namespace, VERSION),
        *manifests.lasting(chosen, namespace)[1:],
        *removal(chosen, namespace, VERSION),
    ]
    definitions = {key for key in charted if key[2].endswith("-definitions")}
    assert set(charted) - definitions == set(by_name(plain))
    for key, body in by_name(plain).items():
        assert charted[key] == body, key


@pytest.mark.parametrize("choice", CHOICES)
def test_programs_can_read_the_settings_they_are_given(template, choice):
    documents = template("ferry-agent", {"site": SITE, **CHOICES[choice]})
    for body in documents:
        if body["kind"] == "Deployment":
            pod = body["spec"]["template"]["spec"]
            said = next(one["env"] for one in (*pod["containers"], *pod.get("initContainers", ())) if "env" in one)
            environ = {entry["name"]: entry.get("value", "") for entry in said}
            if body["metadata"]["name"] == "ferry-router":
                assert load(RouterSettings, environ).in_cluster
                continue
            assert load(SiteSettings, environ).name == "onprem"
            knobs = load(ClusterSettings, environ)
            assert knobs.system_namespace == "ferry-system" != knobs.environments_namespace


def test_uninstalling_keeps_volume_and_namespace_unless_told_otherwise(template):
    for purge in (False, True):
        made = by_name(template("ferry-agent", {"site": SITE, "purge": purge}))
        for key in (("PersistentVolumeClaim", "ferry-system", "ferry-store"), ("Namespace", "", "ferry-environments")):
            kept = made[key]["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            assert kept == (None if purge else "keep"), key


def test_what_may_hold_a_password_is_in_no_specification(template):
    hidden = {name for name, knob in SiteSettings.knobs().items() if knob.secret}
    assert hidden == set(SECRET_SITE_SETTINGS)
    values = {"site": {**SITE, **dict.fromkeys(hidden, "http://u:hush@h")}, "joinToken": "join_onprem_hush"}
    for body in template("ferry-agent", values):
        assert "hush" not in json.dumps(body), body["metadata"]["name"]
    hidden = {name for name, knob in ServerSettings.knobs().items() if knob.secret}
    for body in template("ferry-server", {**SERVER, "server": dict.fromkeys(hidden, "postgresql://u:hush@h")}):
        assert "hush" not in json.dumps(body), body["metadata"]["name"]


@pytest.mark.parametrize("chart", ["ferry-agent", "ferry-server"])
def test_helm_finds_nothing_wrong(helm, chart):
    status, out, err = helm("lint", "--strict", str(CHARTS / chart))
    assert status == 0, out + err


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"site": {"name": "a"}}, "site.server_url is needed"),
        ({"site": {"server_url": "https://x"}}, "site.name is needed"),
        ({"site": {**SITE, "prxy": "x"}}, "prxy"),
        ({"site": SITE, "namespaces": []}, "clusterWide"),
        ({"site": SITE, "namespaces": ["Not_A_Name"]}, "namespaces"),
        ({"site": SITE, "gateway": {"store": {"kind": "existing"}}}, "gateway.store.claim"),
        ({"site": SITE, "cluster": {"gang": "maybe"}}, "gang"),
        ({"site": SITE, "agnt": {}}, "agnt"),
        ({"site": SITE, "environments": {"namespace": "default"}}, "no work may run in it"),
        ({"site": SITE, "namespaces": ["team-a", "default"]}, "no work may run in it"),
        ({"site": SITE, "inference": {"enabled": True}}, "allowInsecureConnections"),
        ({"site": SITE, "inference": {"enabled": True, "tls": {"secret": "x"}}}, "inference.tls.cname"),
        ({"site": SITE, "inference": {**BOTH, "allowInsecureConnections": True}}, "exclude each other"),
        ({"site": SITE, "inference": {"tls": {"certificate": "x"}}}, "certificate and key"),
        ({"site": SITE, "inference": {"tls": {"secret": "a", "certificate": "x", "key": "y"}}}, "certificate and key"),
        ({"site": SITE, "inference": {"router": {"replicas": 2}}}, "replicas"),
        ({"site": SITE, "router": {"bind": "x"}}, "bind"),
    ],
)
def test_the_agents_chart_says_what_is_missing(refusal, values, words):
    assert words in refusal("ferry-agent", values)


MANY = {
    **SERVER, "replicas": 3, "keySecret": "key", "state": {"kind": "ephemeral"},
    "server": {
        "database_url": "postgresql://db/ferry", "mlflow_database_url": "postgresql://db/mlflow",
        "artifacts_url": "s3://bucket/ferry",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "in the clear"),
        ({**MANY, "keySecret": ""}, "keySecret"),
        ({**MANY, "state": {"kind": "claim"}}, "state.kind=ephemeral"),
        ({**MANY, "server": {**MANY["server"], "database_url": "sqlite:///x"}}, "need PostgreSQL"),
        ({**MANY, "server": {**MANY["server"], "mlflow_database_url": ""}}, "for MLflow too"),
        ({**MANY, "server": {**MANY["server"], "artifacts_url": "file:///x"}}, "object store"),
        ({**SERVER, "server": {"port": 1}}, "port"),
        ({"ingress": {"enabled": True}}, "ingress.host"),
    ],
)
def test_the_servers_chart_refuses_what_cannot_work(refusal, values, words):
    assert words in refusal("ferry-server", values)


@pytest.mark.parametrize(
    "values",
    [SERVER, MANY, {"allowInsecure": True}, {"ingress": {"enabled": True, "host": "ferry.example", "tlsSecret": "t"}}],
)
def test_a_server_can_read_the_settings_it_is_given(template, values):
    found = by_name(template("ferry-server", values))
    secret = found["Secret", "ferry-system", "ferry-server-settings"]["data"]
    container = found["Deployment", "ferry-system", "ferry-server"]["spec"]["template"]["spec"]["containers"][0]
    environ = {entry["name"]: entry["value"] for entry in container["env"]} | dict.fromkeys(secret, "s3://x")
    environ |= {key: "postgresql://x" for key in secret if "DATABASE" in key}
    settings = load(ServerSettings, environ)
    assert settings.replicas == values.get("replicas", 1)
    assert settings.public_url.startswith("http")
