"""Settings reach programs: plain ones in the environment, passwords in a Secret, changes restart pods."""

import base64
import json

import pytest

from ferryml.compile.install.config import authorities, environment, kept, settings_sum, text
from ferryml.compile.install.values import AgentValues

SITE = {"name": "a", "server_url": "https://x"}


def said(**values):
    chosen = AgentValues.model_validate({"site": SITE, **values})
    return {entry["name"]: entry.get("value") for entry in environment(chosen, "sys", "1")}


def test_settings_become_variables():
    found = said(cluster={"node_lost_s": 5, "autoscaled": True}, namespaces=["b", "c"])
    assert found["FERRY_SITE_NAME"] == "a"
    assert (found["FERRY_CLUSTER_NODE_LOST_S"], found["FERRY_CLUSTER_AUTOSCALED"]) == ("5", "true")
    assert (found["FERRY_CLUSTER_NAMESPACES"], found["FERRY_CLUSTER_SYSTEM_NAMESPACE"]) == ("b,c", "sys")
    assert said(clusterWide=True)["FERRY_CLUSTER_NAMESPACES"] == ""


def test_what_the_chart_decides_cannot_be_said_otherwise():
    assert said(cluster={"state_dir": "/x"})["FERRY_CLUSTER_STATE_DIR"] == "/var/lib/ferry"


def test_tables_travel_as_json():
    found = said(workloads={"imageAliases": {"a:1": "b:1"}, "nodeSelector": {"p": "q"}})
    assert json.loads(found["FERRY_CLUSTER_IMAGE_ALIASES_JSON"]) == {"a:1": "b:1"}
    assert json.loads(found["FERRY_CLUSTER_WORKLOAD_NODE_SELECTOR_JSON"]) == {"p": "q"}
    assert "FERRY_CLUSTER_WORKLOAD_TOLERATIONS_JSON" not in found


def test_passwords_are_in_a_secret():
    chosen = AgentValues.model_validate({"site": {**SITE, "proxy": "http://u:p@h"}, "joinToken": "t"})
    secrets = {body["metadata"]["name"]: body.get("data") for body in kept(chosen, "s") if body["kind"] == "Secret"}
    assert base64.b64decode(secrets["ferry-settings"]["FERRY_SITE_PROXY"]) == b"http://u:p@h"
    assert base64.b64decode(secrets["ferry-join"]["token"]) == b"t"
    assert secrets["ferry-agent-key"] is secrets["ferry-gateway-key"] is None
    assert "u:p" not in str(environment(chosen, "s", "1"))


def test_a_new_password_or_authority_starts_pods_anew():
    sums = {
        settings_sum(AgentValues.model_validate(values))
        for values in ({"site": SITE}, {"site": {**SITE, "proxy": "http://h"}}, {"ca": {"pem": "x"}})
    }
    assert len(sums) == 3


@pytest.mark.parametrize(
    ("ca", "name", "key"),
    [({"pem": "x"}, "ferry-ca", "ca.pem"), ({"configMap": "own", "key": "k"}, "own", "k")],
)
def test_authorities_are_one_file_wherever_they_come_from(ca, name, key):
    volumes, mounts = authorities(AgentValues.model_validate({"ca": ca}))
    assert volumes[0]["configMap"] == {"name": name, "items": [{"key": key, "path": "ca.pem"}]}
    assert mounts[0]["mountPath"] == "/etc/ferry/ca"
    found = said(ca=ca)
    assert found["FERRY_SITE_CA_BUNDLE"] == "/etc/ferry/ca/ca.pem"
    assert "FERRY_CLUSTER_PACKAGE_CA" not in found
    assert said(ca={**ca, "packages": True})["FERRY_CLUSTER_PACKAGE_CA"] == "/etc/ferry/ca/ca.pem"


def test_no_authorities_no_volume():
    assert authorities(AgentValues()) == ([], [])


@pytest.mark.parametrize(("value", "written"), [("a b", "a b"), (True, "true"), (3, "3"), (0.5, "0.5")])
def test_a_setting_as_text(value, written):
    assert text(value) == written
