"""One endpoint on two real clusters: asked, rolled out, cut off during an update, and removed without a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kubebox import faults
from spread_cluster_play import CLUSTERS, Spread, installed
from system_play import W

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def there(clusters, component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spread]:
    """A server and two clusters; the tests below go on with what those above have made."""
    with installed(clusters, component, tmp_path_factory.mktemp("spread")) as made:
        yield made
        # together with all that is in them
        clusters.end(*CLUSTERS)


def test_one_compute_becomes_two_and_what_serves_notices_nothing(there: Spread) -> None:
    ferry, point = there.world.ferry, {"name": "point", "type": "kubernetes", "auth_mode": "key"}
    ferry("apply", "-f", there.write("point.yml", {**point, "compute": "azureml:cloud"}))
    ferry("online-deployment", "create", "-f", there.write("blue.yml", there.deployment("first")), "--all-traffic")
    key, address, pods = there.key(), there.told()["scoring_uri"], there.pods("cloud")
    assert there.asks("cloud", key, where=address) == "first"
    ferry("apply", "-f", there.write("point.yml", {**point, "compute": [f"azureml:{name}" for name in CLUSTERS]}))
    told = there.told()
    assert (told["provisioning_state"], told["compute"], told["traffic"]) == ("Succeeded", [*CLUSTERS], {"blue": 100})
    assert there.pods("cloud") == pods
    assert there.key() == key
    for compute in CLUSTERS:
        site = there.site(compute)
        assert (site["site"], site["reachable"], site["provisioning_state"]) == (compute, True, "Succeeded")
        assert (site["deployments"]["blue"]["ready"], site["deployments"]["blue"]["desired"]) == (1, 1)
        assert [len(there.listed(compute, kind)) for kind in ("onlineendpoints", "deployments.apps", "pods")] == [1] * 3
        assert (there.asks(compute, key), there.asks(compute, "wrong")) == ("first", 401)
        said = ferry("online-endpoint", "invoke", "-n", "point", "--compute", compute)
        assert json.loads(said) == "first"
    assert there.uri("cloud") == address != there.uri("plant")
    lines = ferry("online-endpoint", "show", "-n", "point", "-o", "table").splitlines()[2:]
    for compute, line in zip(CLUSTERS, lines, strict=True):
        assert line.split()[1:4] == ["Succeeded", compute, "blue:1/1"], line
        assert there.uri(compute) in line


def test_a_rollout_goes_through_its_sites_in_order_and_nobody_notices(there: Spread) -> None:
    plan = {
        "name": "second", "deployment": there.deployment("second"), "endpoints": ["point"],
        "mirror": {"percent": 100, "min_requests": 20}, "steps": [50, 100], "per_step": {"min_requests": 10},
        "rollback_if": {"max_error_rate": 0.01}, "keep_previous": "1s",
    }  # fmt: skip
    with there.callers("cloud") as near, there.callers("plant") as far:
        there.world.ferry("rollout", "create", "-f", there.write("second.yml", plan))
        there.settled()
        for callers in (near, far):
            there.until(lambda callers=callers: callers.answers()[-1][1] == '"second"')
        for compute in CLUSTERS:
            there.until_one_pod(compute)
    assert (near.failures(), far.failures()) == ([], [])
    rollout = there.world.get(f"{W}/rollouts/second")
    assert rollout["status"] == "promoted", rollout
    first, then = (rollout["ferry"]["endpoints"][f"point@{compute}"]["evidence"] for compute in CLUSTERS)
    for evidence in (first, then):
        moves = [move["transition"].rpartition("-> ")[2] for move in evidence]
        assert moves == ["mirroring", "step 50 %", "step 100 %", "promoted"]
        assert evidence[1]["figures"]["candidate"]["mirrored"] >= 20
    assert first[-1]["at"] < then[0]["at"], "one after the other"
    # what was rolled out is what is asked for: nothing is brought there a second time
    assert [there.tried(compute) for compute in CLUSTERS] == [2, 2]


def test_a_site_cut_off_during_an_update_goes_on_and_catches_up(there: Spread) -> None:
    plant, key, far = there.clusters["plant"], there.key(), there.uri("plant")
    with there.callers("cloud") as near, there.callers("plant") as callers:
        there.renew("third", "--no-wait")
        there.until(lambda: there.wished("plant", "third"))
        faults.cut_link(plant)
        there.until(lambda: there.asks("cloud", key) == "third")
        # what it has heard of, it carries out by itself
        there.until(lambda: there.asks("plant", key, where=far) == "third")
        there.until(lambda: not there.site("plant")["reachable"])
        # what served before stays until the server has heard of it
        pods = there.pods("plant")
        assert len(pods) == 2
        for who in ("fourth", "fifth"):
            assert there.renew(who)["ferry"]["waiting_for"] == ["plant"]
            assert there.asks("cloud", key) == who
        assert there.site("plant")["provisioning_state"] == "Updating"
        assert there.told()["ferry"]["reason"] == "plant: waits for its site, which is offline"
        assert (there.pods("plant"), there.asks("plant", key, where=far)) == (pods, "third")
        assert json.loads(there.world.ferry("online-endpoint", "invoke", "-n", "point")) == "fifth"
        faults.restore_link(plant)
        there.settled()
        there.until(lambda: there.asks("plant", key) == "fifth")
        for compute in CLUSTERS:
            there.until_one_pod(compute)
    assert (near.failures(), callers.failures()) == ([], [])
    seen = [body for _, body in callers.answers()]
    assert list(dict.fromkeys(seen)) == ['"second"', '"third"', '"fifth"'], (
        "each once, and the newest of what it missed"
    )
    # each version is one revision where it was tried: nothing was done twice
    assert [there.tried(compute) for compute in CLUSTERS] == [5, 4]


def test_keys_and_tokens_of_endpoints_on_both(there: Spread) -> None:
    """Keys of each compute's own open that one alone; a token opens both."""
    ferry, both = there.world.ferry, [f"azureml:{name}" for name in CLUSTERS]
    made = {"apart": {"auth_mode": "key", "keys": "separate"}, "tokens": {"auth_mode": "aml_token"}}

    def make(name: str) -> None:
        file = there.write(f"{name}.yml", {"name": name, "compute": both, **made[name]})
        ferry("online-endpoint", "create", "-f", file)
        blue = there.write(f"{name}-blue.yml", there.deployment(name, name))
        ferry("online-deployment", "create", "-f", blue, "--all-traffic")

    with ThreadPoolExecutor() as several:
        list(several.map(make, made))
    token = there.world.get(f"{W}/online-endpoints/tokens/credentials")["accessToken"]
    assert [there.asks(compute, token, "tokens") for compute in CLUSTERS] == ["tokens", "tokens"]
    keys = there.world.get(f"{W}/online-endpoints/apart/credentials")["computes"]
    near, far = (keys[compute]["primaryKey"] for compute in CLUSTERS)
    assert [there.asks(compute, near, "apart") for compute in CLUSTERS] == ["apart", 401]
    assert [there.asks(compute, far, "apart") for compute in CLUSTERS] == [401, "apart"]
    said = ferry("online-endpoint", "regenerate-keys", "-n", "apart", "--compute", "plant")
    fresh = json.loads(said)["primaryKey"]
    there.until(lambda: there.asks("plant", fresh, "apart") == "apart")
    there.until(lambda: there.asks("plant", far, "apart") == 401)
    assert there.asks("cloud", near, "apart") == "apart"
    for name in made:
        ferry("online-endpoint", "delete", "-n", name, "-y")


def test_what_is_removed_leaves_nothing_behind(there: Spread) -> None:
    ferry, key, far = there.world.ferry, there.key(), there.uri("plant")
    with there.callers("cloud") as callers:
        ferry("online-endpoint", "update", "-n", "point", "--compute", "cloud,")
        assert list(there.told()["ferry"]["sites"]) == ["cloud"]
        there.until(lambda: there.asks("plant", key, where=far) == 404)
        there.until(lambda: there.left("plant") == [])
    assert callers.failures() == []
    ferry("online-endpoint", "delete", "-n", "point", "-y")
    assert there.world.get(f"{W}/online-endpoints")["items"] == []
    there.until(lambda: there.left("cloud") == [])
