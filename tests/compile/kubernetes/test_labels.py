import re

import pytest

from ferryml.compile.kubernetes import labels
from ferryml.compile.kubernetes.names import uid_hash

VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@pytest.mark.parametrize("text", ["", "w", "_team", "ends.", "a" * 255, "____", "größe", "a/b"])
def test_values_are_such_that_kubernetes_takes_them(text):
    assert VALUE.fullmatch(labels.label_value(text))


def test_values_that_had_to_be_changed_stay_apart():
    assert labels.label_value("_team") != labels.label_value("team")
    assert labels.label_value("a/b") != labels.label_value("a_b/")


def test_an_object_says_whose_it_is():
    mine = labels.labels_of("job", "job.w.j", 2, "w", "c")
    assert mine == {
        "app.kubernetes.io/managed-by": "ferry", "ferryml.dev/kind": "job", "ferryml.dev/uid": uid_hash("job.w.j"),
        "ferryml.dev/attempt": "2", "ferryml.dev/workspace": "w", "ferryml.dev/compute": "c",
    }  # fmt: skip
    assert labels.labels_of("job", "u", 1, "w", "c", bound=True)["ferryml.dev/bound"] == "true"
    assert "ferryml.dev/workspace" not in labels.labels_of("preparation", "environment.k", 1, "", "")


def test_annotations_hold_what_labels_cannot():
    assert labels.annotations_of("job.w." + "x" * 255, "x" * 255)["ferryml.dev/uid"].endswith("x" * 255)


def test_selectors_are_written_in_one_order():
    assert labels.selector({"b": "2", "a": "1"}) == "a=1,b=2"
