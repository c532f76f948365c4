"""Groups are made in every hierarchy of version 1, and with handed-down controllers in version 2."""

import pytest

from kubebox import control_groups


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(control_groups, "ROOT", tmp_path)
    return tmp_path


def test_version_1_has_a_group_in_each_hierarchy_with_its_processors(root):
    for name in ("cpuset", "memory", "pids"):
        (root / name).mkdir()
    (root / "cpuset/cpuset.cpus").write_text("0-1\n")
    (root / "cpuset/cpuset.mems").write_text("0\n")
    entrance = control_groups.make("kb1n0")
    assert entrance == root / "pids/kb1n0/system/cgroup.procs"
    assert (root / "memory/kb1n0/system").is_dir()
    assert (root / "cpuset/kb1n0/system/cpuset.cpus").read_text() == "0-1\n"


def test_version_2_hands_controllers_down_to_the_group(root):
    (root / "kb1n0").mkdir()
    for folder in (root, root / "kb1n0"):
        (folder / "cgroup.controllers").write_text("cpuset cpu memory pids\n")
    assert control_groups.make("kb1n0") == root / "kb1n0/system/cgroup.procs"
    for folder in (root, root / "kb1n0"):
        assert (folder / "cgroup.subtree_control").read_text() == "+cpuset +cpu +memory +pids"


def test_processes_of_all_levels_are_found_once(root):
    (root / "pids/kb1/system").mkdir(parents=True)
    (root / "pids/kb1/kubepods/pod1").mkdir(parents=True)
    (root / "pids/kb1/system/cgroup.procs").write_text("12\n7\n")
    (root / "pids/kb1/kubepods/pod1/cgroup.procs").write_text("30\n7\n")
    assert control_groups.processes("kb1") == [7, 12, 30]
    assert control_groups.processes("kb2") == []
