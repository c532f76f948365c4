"""HAProxy, sidecar and tap in real pods: everything that may end, ends, and predictions go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubebox.cluster import Cluster
from router_load import Load
from router_site_play import TEAM, RouterSite

A, B, C = "a" * 10, "b" * 10, "c" * 10
UID = "endpoint.ws.digits"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def cloud(clusters) -> Cluster:
    return clusters.kubebox("cloud")


@pytest.fixture(scope="module")
def site(component, cloud: Cluster, tmp_path_factory) -> Iterator[RouterSite]:
    component("buildah")
    made = RouterSite(cloud, tmp_path_factory.mktemp("routers"), component("helm")["helm"])
    try:
        made.model(A, "a", replicas=2)
        made.model(B, "b")
        made.weights = {A: 100}
        made.apply()
        yield made
    finally:
        made.close()
        made.remove()


def load(site: RouterSite, **more) -> Load:
    return Load(site.port, tls=site.tls, callers=4, pause_s=0.01, **more)


def test_predictions_from_outside(site: RouterSite) -> None:
    with site.client() as client:
        said = site.ask(client=client)
        assert (said.status_code, said.json()[0]) == (200, "a"), said.text
        assert said.headers["azureml-model-deployment"] == "dep-a"
        assert site.ask(client=client, azureml_model_deployment="dep-b").json()[0] == "b"
        seen = {site.ask(client=client).json()[1] for _ in range(20)}
        assert seen == set(site.pods("-n", TEAM, f"-l=ferryml.dev/revision={A}"))
        assert site.ask("wrong", client).status_code == 401
    site.settles(lambda: site.router.totals(UID)[A].requests >= 21)
    assert site.router.totals(UID)[B].direct == 1
