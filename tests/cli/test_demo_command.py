"""`ferry demo`: what it needs, and what it refuses before anything is begun."""

import pytest


def test_without_the_extras_it_says_how_to_get_them(typed, monkeypatch):
    monkeypatch.setattr("ferryml.cli.programs.NEEDED", ("no_such_library",))
    assert "pip install" in typed("demo").err


def test_clusters_are_not_taken_without_a_word(typed):
    said = typed("demo", "--kubeconfigs", "a:b")
    assert said.code != 0
    assert "Say --kubernetes" in said.err


@pytest.mark.parametrize("given", [(), ("--kubeconfigs", "cloud.kubeconfig"), ("--kubeconfigs", "one:one")])
def test_two_clusters_must_be_named(typed, monkeypatch, given):
    monkeypatch.delenv("FERRY_TEST_KUBECONFIG", raising=False)
    said = typed("demo", "--kubernetes", *given)
    assert said.code != 0
    assert "[Usage] --kubernetes needs the kubeconfigs of two clusters" in said.err
    assert "make demo-kubernetes" in said.err
