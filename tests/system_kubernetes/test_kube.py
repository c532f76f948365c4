"""Real API servers keep the contract of `Kube`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract_kube import KubeContract
from ferryml.backends.kubernetes.access import from_kubeconfig
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.kinds import ML_JOBS
from ferryml.compile.kubernetes.crds import definitions


class TestHttpKube(KubeContract):
    @pytest.fixture
    def kube(self, cluster) -> Iterator[HttpKube]:
        made = HttpKube(from_kubeconfig(cluster.kubeconfig))
        for body in definitions().values():
            if body["metadata"]["name"] == "mljobs.ferryml.dev":
                made.apply(body)
        _served(made)
        yield made
        made.close()

    @pytest.fixture
    def space(self, namespace: str) -> str:
        return namespace


def _served(kube: HttpKube) -> None:
    """A definition takes a moment until its kind is there."""
    from contract_kube import until
    from ferryml.domain.errors import NotFound

    def listed() -> bool:
        try:
            kube.list(ML_JOBS)
        except NotFound:
            return False
        return True

    until(listed)
