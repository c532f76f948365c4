"""The four usage patterns as examples/ types them, on two real clusters: each retrains by itself on a data change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fixtures_s3 import S3Server
from fixtures_squid import SquidProxy
from kubebox.texts import HUB_NAME
from patterns_play import EXAMPLES, PATTERNS, Patterns, installed

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def patterns(
    clusters, component, s3_server: S3Server, squid_with_password: SquidProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Patterns]:
    """One installation for all four."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("patterns")
        made = installed(stack, clusters, component, s3_server, squid_with_password, folder)
        yield made
        for cluster in (made.cloud, made.onprem):
            cluster.kubectl("delete", "namespace", *PATTERNS, "--wait=false", "--ignore-not-found")


def runs(patterns: Patterns, pattern: str) -> list[dict]:
    return patterns.world.get(f"/workspaces/{pattern}/automations/pumps-loop/runs")["items"]


def its_loop_closed(patterns: Patterns, pattern: str, compute: str, said: str) -> None:
    """The automation trained on that compute, its candidate won against the champion, and serves now."""
    [run] = runs(patterns, pattern)
    assert run["ended"], run
    assert run["state"] == "promoted", run
    job = patterns.world.get(f"/workspaces/{pattern}/jobs/pumps-loop-1-train")
    assert (job["status"], job["compute"]) == ("Completed", compute)
    first, second = said.split("promoted\n", 1)
    assert re.search(r"\{\s*\"failed\":\s*\[\s*0,\s*1,\s*1\s*\]", first), (
        "the first model takes a hot pump for a failing one"
    )
    assert re.search(r"\{\"failed\": ?\[0, ?0, ?1\]\}", second), "the second one knows better"
    for word in ("pumps-model:2", "pumps-loop-1-train", "pumps:2"):
        assert word in second, f"the trace does not name {word}"


def test_one_train_in_the_cloud_serve_on_premises(patterns: Patterns) -> None:
    """examples/02-train-in-cloud-serve-onprem/run.sh"""
    said = patterns.run("one", "02-train-in-cloud-serve-onprem")
    assert "trained on 160 readings: accuracy 1.000" in said
    its_loop_closed(patterns, "one", "cloud", said)
    patterns.serves_on(patterns.onprem, "one")


def test_two_train_on_premises_serve_in_the_cloud(patterns: Patterns) -> None:
    """examples/03-train-onprem-serve-in-cloud/run.sh: what the plant keeps has not gone over its link."""
    before = len(patterns.link.sent())
    said = patterns.run("two", "03-train-onprem-serve-in-cloud")
    assert "[ResidencyViolation] an input is bound to onprem, and compute cloud is on site cloud" in said
    its_loop_closed(patterns, "two", "onprem", said)

    sent = patterns.link.sent(before)
    models = patterns.world.get("/workspaces/two/models", name="pumps-model")["items"]
    assert [one["version"] for one in models] == ["2", "1"]
    print(f"{len(sent)} bytes went from onprem to the server")
    for file in (EXAMPLES / "pumps" / "data").rglob("*.csv"):
        assert hashlib.sha256(file.read_bytes()).hexdigest().encode() not in sent, file
        for row in file.read_text().splitlines()[1:]:
            assert row.encode() not in sent, f"a row of {file} left the plant"
    assert b"trained on 160 readings" not in sent, "a log left the plant"
    patterns.serves_on(patterns.cloud, "two")


def test_three_a_private_cluster(patterns: Patterns) -> None:
    """examples/04-private-cluster/run.sh"""
    said = patterns.run("three", "04-private-cluster")
    its_loop_closed(patterns, "three", "cloud", said)
    images = patterns.cloud.kubectl("get", "pods", "-n", "three", "-o", "jsonpath={..spec.containers[*].image}").split()
    assert images
    assert set(images) == {f"{patterns.registry}/team/python:3.11"}
    patterns.serves_on(patterns.cloud, "three")


def test_four_everything_on_premises_through_a_proxy(patterns: Patterns) -> None:
    """examples/05-onprem-through-a-proxy/run.sh, and examples/pumps/ with it"""
    said = patterns.run("four", "05-onprem-through-a-proxy")
    its_loop_closed(patterns, "four", "onprem", said)
    patterns.serves_on(patterns.onprem, "four")
    assert patterns.squid.saw(f"GET http://{HUB_NAME}:{patterns.world.index.port}/simple/mlflow-skinny/ ")
