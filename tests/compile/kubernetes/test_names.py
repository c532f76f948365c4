import re

import pytest

from ferryml.compile.kubernetes import names

LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


@pytest.mark.parametrize(
    "uid",
    ["job.w.amber_willow_x8d7f2k1a0", "job.w." + "x" * 255, "job.w._", "job.w.-.-", "job.w.9lives", "job.w.a--b", "x"],
)
def test_names_are_dns_labels_with_room_for_what_the_job_controller_adds(uid):
    name = names.resource_name(uid)
    assert LABEL.fullmatch(name)
    assert len(name) <= names.LONGEST <= 45
    assert len(names.attempt_name(uid, 999) + "-99999-abcde") <= 63


def test_names_that_fold_to_one_slug_stay_apart():
    assert names.resource_name("job.w.A_b") != names.resource_name("job.w.a-b")
    assert names.resource_name("job.w1.a") != names.resource_name("job.w2.a")


def test_the_name_can_be_read():
    assert names.resource_name("job.w.Train_Digits").startswith("train-digits-")
    assert names.attempt_name("job.w.a", 2) == names.resource_name("job.w.a") + "-2"


def test_no_name_can_be_chosen_whose_pods_look_like_those_of_another_job():
    victim = names.pod_prefix("job.w.a", 1)
    for chosen in (victim, victim + "x", victim.replace("-", "_"), names.resource_name("job.w.a")):
        assert not names.attempt_name(f"job.w.{chosen}", 1).startswith(victim)
    assert not names.attempt_name("job.w.a", 11).startswith(victim)


def test_the_slug_is_never_long_enough_to_hold_a_name():
    shortest = len("a-") + names.HASH_DIGITS
    assert shortest > names.SLUG_LENGTH


def test_preparations_are_told_by_their_key():
    assert names.preparation_name("AB" * 32) == "prepare-" + "ab" * 10
    assert names.preparation_uid("ab") == "environment.ab"


def test_ranks_find_each_other_by_host_name():
    assert names.host_name("j-1", 2) == "j-1-2.j-1"
