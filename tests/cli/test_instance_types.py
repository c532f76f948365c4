"""`ferry instance-type`."""

import json

import pytest

from ferryml.domain.instance_types import read
from site_answers import a_cluster, attach


@pytest.fixture(scope="module")
def cluster(desk):
    a_cluster(desk)
    attach(desk)
    return desk


def test_types_of_one_compute_and_of_all(cluster, ferry):
    table = ferry("instance-type", "list", "-c", "kc", "-o", "table").out
    assert "defaultinstancetype" in table
    every = json.loads(ferry("instance-type", "list").out)
    assert {each["compute"] for each in every} == {"c1", "kc"}
    fits = ferry("instance-type", "show", "-n", "huge", "-c", "kc", "--query", "fits", "-o", "tsv")
    assert fits.out == "false\n"
    assert "there is no instance type 'tpu'" in ferry("instance-type", "show", "-n", "tpu").err


def test_what_the_nodes_suggest_can_be_applied(cluster, ferry):
    from ruamel.yaml import YAML

    documents = list(YAML(typ="safe").load_all(ferry("instance-type", "suggest", "--site", "kube").out))
    assert documents
    assert all(read(each) for each in documents)
    assert json.loads(ferry("instance-type", "suggest", "-c", "kc", "-o", "json").out) == documents
    assert ferry("instance-type", "suggest").code == 2
    assert "told of no nodes" in ferry("instance-type", "suggest", "-c", "c1").err
