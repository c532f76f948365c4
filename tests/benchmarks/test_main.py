"""`make bench` runs everything that is there to be run."""

import importlib

import pytest
from benchmarks.__main__ import TOPICS


@pytest.mark.parametrize("topic", TOPICS)
def test_each_topic_can_be_run_and_says_what_it_measures(topic):
    module = importlib.import_module(f"benchmarks.{topic}")
    assert callable(module.run)
    assert module.__doc__
