"""The API server in memory keeps the contract that real ones do (tests/system_kubernetes/test_kube.py)."""

from __future__ import annotations

import pytest

from contract_kube import KubeContract
from kube_play import PlayKube


class TestPlayKube(KubeContract):
    @pytest.fixture
    def kube(self) -> PlayKube:
        return PlayKube()

    @pytest.fixture
    def space(self) -> str:
        return "default"
