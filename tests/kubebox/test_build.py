"""Programs are named by what they are made from, so that a change is built and nothing else is."""

import os

import components
import pytest

from kubebox import build, places
from kubebox.places import KubeboxError


def test_sister_modules_are_replaced_by_published_ones():
    go_mod = (
        "replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tk8s.io/cri-api => ./staging/src/k8s.io/cri-api\n)\n"
    )
    assert build.replacements(go_mod) == (
        f"\nreplace (\n\tk8s.io/api => k8s.io/api {build.SISTERS}\n"
        f"\tk8s.io/cri-api => k8s.io/cri-api {build.SISTERS}\n)\n"
    )
    assert build.SISTERS.startswith("v0.")


def test_the_name_of_a_program_changes_with_its_version(monkeypatch):
    before = places.program("kubernetes"), places.program("coredns")
    monkeypatch.setattr(places, "KUBERNETES", "1.99.0")
    after = places.program("kubernetes"), places.program("coredns")
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_what_is_not_built_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBEBOX_HOME", str(tmp_path))
    with pytest.raises(KubeboxError, match="not built: kubernetes, coredns, pause, pause_image, base_image"):
        build.find("kubernetes")


def test_a_long_path_does_not_break_sockets(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBEBOX_HOME", str(tmp_path / ("deep" * 20)))
    assert len(str(places.run_folder())) <= places.LONGEST_RUN_FOLDER
    monkeypatch.setenv("KUBEBOX_HOME", "/srv/kubebox")
    assert str(places.run_folder()) == "/srv/kubebox/run"


def test_without_root_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(components.MissingError, match="which only root on Linux may make"):
        components.find("kubernetes")
