"""`ferry online-endpoint` against a real server; a site that answers is in tests/system."""

import json

import pytest

from ferryml.cli.endpoints import computes, lines_of, read_request, shares, site_lines
from ferryml.domain.errors import Refused


def test_shares_as_az_writes_them():
    assert shares("a=90 b=10") == shares("a=90,b=10") == {"a": 90, "b": 10}
    assert shares("") == {}
    for text in ("a", "a=x", "=1", "a=-1"):
        with pytest.raises(Refused, match="share"):
            shares(text)


def test_computes_as_one_writes_them():
    assert computes("a") == "a"
    assert computes("azureml:a") == "azureml:a"
    for text in ("a b", "a,b", "[a, b]", "[a,b]"):
        assert computes(text) == ["a", "b"]
    assert computes("[a]") == computes("a,") == ["a"]


def test_each_compute_is_a_line_of_a_table():
    blue = {"blue": {"ready": 1, "desired": 2}}
    there = {"provisioning_state": "Updating", "scoring_uri": None, "reason": "waits", "deployments": blue}
    [line] = site_lines({"name": "e", "traffic": {"blue": 100}, "ferry": {"sites": {"c1": there}}})
    assert [line[key] for key in ("name", "compute", "deployments", "provisioning_state", "reason")] == [
        "e", "c1", "blue:1/2", "Updating", "waits",
    ]  # fmt: skip
    alone = {"name": "e", "ferry": {}}
    assert site_lines(alone) is alone


def test_requests_come_from_files(alone):
    (alone / "r.json").write_bytes(b"[1]")
    assert read_request(alone / "r.json") == b"[1]"
    assert read_request(None) == b"{}"
    with pytest.raises(Refused, match="absent"):
        read_request(alone / "absent")


def test_figures_are_lines_of_a_table():
    half = {"labels": 4, "correct": 2, "predictions": 9, "value": 0.5}
    old = {"deployment": "blue", "state": "Succeeded", "ready": 2, "wanted": 3, "percent": 90, "requests": 7.0}
    new = {"deployment": "blue", "state": None, "ready": None, "wanted": None, "percent": 10, "mirrored": 3}
    copies = {"mirror_errors": 0, "mirror_dropped": 0, "mismatches": 1, "disagreements": 1}
    found = {"revisions": {"a": {**new, **copies}, "b": {**old, "mirrored": 0, **copies, "accuracy": half}}}
    first, second = lines_of(found)
    assert [first[key] for key in ("revision", "instances", "percent", "accuracy", "labels", "requests")] == [
        "b", "2/3", 90, 0.5, 4, 7.0,
    ]  # fmt: skip
    assert "mirrored" not in first
    assert (second["instances"], second["mirrored"], second["disagreements"]) == (None, 3, 1)


def test_local_ones_know_no_shares_and_no_workspace(typed, alone):
    (alone / "e.yml").write_text("name: ep1\ntraffic: {blue: 100}\n")
    for argv in (("create", "-f", "e.yml"), ("update", "-n", "ep1", "--traffic", "blue=100")):
        said = typed("online-endpoint", *argv, "--local")
        assert (said.code, said.err.split()[1]) == (1, "[NotSupported]")
    assert typed("online-endpoint", "list", "--local").out == "[]\n"
    for argv in (("show", "-n", "x"), ("delete", "-n", "x", "-y"), ("invoke", "-n", "x")):
        said = typed("online-endpoint", *argv, "--local")
        assert (said.code, said.err.splitlines()[0]) == (1, "Error: [NotFound] there are no local endpoints")


def test_an_endpoint_before_its_site_answers(ferry, alone):
    (alone / "e.yml").write_text("name: ep1\ncompute: azureml:c1\nauth_mode: Key\n")
    made = ferry("online-endpoint", "create", "--f", "e.yml", "--no-wait", "--set", "tags.a=b")
    assert made.code == 0, made.err
    assert json.loads(made.out)["tags"] == {"a": "b"}
    assert ferry("online-endpoint", "create", "-f", "e.yml", "--no-wait").err.startswith("Error: [AlreadyExists]")
    keys = json.loads(ferry("online-endpoint", "get-credentials", "-n", "ep1").out)
    fresh = json.loads(ferry("online-endpoint", "regenerate-keys", "-n", "ep1", "--key-type", "Secondary").out)
    assert fresh["primaryKey"] == keys["primaryKey"]
    assert fresh["secondaryKey"] != keys["secondaryKey"]
    made = ferry(
        "online-endpoint", "create", "-n", "ep2", "--auth-mode", "aml_token", "--set", "compute=c1", "--no-wait"
    )
    assert made.code == 0, made.err
    token = json.loads(ferry("online-endpoint", "get-credentials", "-n", "ep2").out)
    assert set(token) == {"accessToken", "expiryTimeUtc", "refreshAfterTimeUtc", "tokenType"}
    no_keys = ferry("online-endpoint", "regenerate-keys", "-n", "ep2", "--key-type", "primary")
    assert (no_keys.code, no_keys.err.split()[1]) == (1, "[NotSupported]")
    refused = ferry("online-endpoint", "update", "-n", "ep1", "--traffic", "blue=110")
    assert (refused.code, refused.err.split()[1]) == (1, "[TrafficInvalid]")
    assert ferry("online-endpoint", "invoke", "-n", "ep1").code == 3
    assert json.loads(ferry("online-endpoint", "stats", "-n", "ep1").out)["revisions"] == {}
    assert ferry("online-endpoint", "stats", "-n", "ep1", "-o", "table").out == ""
    assert "ep1" in ferry("online-endpoint", "list", "-o", "table").out
    gone = ferry("online-endpoint", "delete", "-n", "ep1", "-y", "--no-wait")
    assert (gone.code, gone.err.split()[1]) == (1, "[OperationInProgress]")
