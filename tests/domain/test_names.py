"""Names and the dice for them."""

import random

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.names import RULES, check, job_name


@pytest.mark.parametrize(
    ("noun", "name"),
    [
        ("endpoint", "my-endpoint"),
        ("endpoint", "abc"),
        ("deployment", "Blue2"),
        ("asset", "a"),
        ("asset", "AzureML-sklearn-1.5"),
        ("asset", "x" * 255),
        ("version", "1.10"),
        ("site", "on-prem"),
        ("input or output", "iris_csv"),
        ("job", "brave_lamp_0123456789"),
    ],
)
def test_good_names(noun, name):
    assert check(noun, name) == name


@pytest.mark.parametrize(
    ("noun", "name"),
    [
        ("endpoint", "my_endpoint"),
        ("endpoint", "ab"),
        ("endpoint", "x" * 33),
        ("endpoint", "ends-"),
        ("endpoint", "1st"),
        ("endpoint", "new\n"),
        ("asset", ""),
        ("asset", ".."),
        ("asset", "a/b"),
        ("asset", "x" * 256),
        ("asset", "ünïcode"),
        ("site", "Cloud"),
        ("job", "../x"),
        ("input or output", "a-b"),
    ],
)
def test_bad_names(noun, name):
    with pytest.raises(Refused) as refused:
        check(noun, name)
    assert refused.value.code == "BadName"


def test_generated_names_are_good_job_names():
    names = {job_name(random.Random(seed).randrange) for seed in range(200)}
    assert len(names) == 200
    for name in names:
        check("job", name)
        adjective, noun, tail = name.split("_")
        assert adjective.isalpha()
        assert noun.isalpha()
        assert len(tail) == 10


def test_generated_names_depend_on_the_dice_alone():
    assert job_name(lambda below: 0) == job_name(lambda below: 0) == "amber_anchor_aaaaaaaaaa"


def test_each_rule_says_itself_in_words():
    assert all(rule.words and rule.noun == noun for noun, rule in RULES.items())
