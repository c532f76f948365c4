import pytest

from ferryml.compile.pythons import choose_python, satisfies
from ferryml.domain.errors import Refused

HERE = ["3.8.18", "3.11.7", "3.11.2", "3.12.1", "3.13.0"]


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("3.11", "3.11.7"),
        ("3.11.2", "3.11.2"),
        (">=3.8,<3.12", "3.11.7"),
        (">=3.9", "3.13.0"),
        ("3", "3.13.0"),
        ("~=3.11", "3.13.0"),
        ("<=3.8", "3.8.18"),
        (">3.8,!=3.13", "3.12.1"),
    ],
)
def test_the_newest_that_fits_is_taken(wanted, taken):
    choice = choose_python(wanted, HERE, "exact")
    assert (choice.version, choice.note) == (taken, "")


def test_another_patch_version_is_taken_and_said():
    choice = choose_python("3.8.5", HERE, "exact")
    assert choice.version == "3.8.18"
    assert "3.8.5" in choice.note


def test_exact_refuses_with_the_fix():
    with pytest.raises(Refused) as caught:
        choose_python("3.9", HERE, "exact")
    assert caught.value.code == "EnvironmentFailed"
    assert "3.9" in caught.value.message
    assert "nearest" in caught.value.hint


@pytest.mark.parametrize(
    ("wanted", "taken"), [("3.9", "3.8.18"), ("3.10", "3.11.7"), ("3.7", "3.8.18"), ("2.7", "3.8.18")]
)
def test_nearest_takes_the_closest_and_says_so(wanted, taken):
    choice = choose_python(wanted, HERE, "nearest")
    assert choice.version == taken
    assert "nearest" in choice.note


def test_nothing_here_is_refused_in_both_policies():
    for policy in ("exact", "nearest"):
        with pytest.raises(Refused):
            choose_python("3.9", [], policy)


def test_nonsense_is_refused():
    with pytest.raises(Refused, match="cannot be read"):
        choose_python("three", HERE, "nearest")


@pytest.mark.parametrize(
    ("version", "wanted", "answer"),
    [
        ("3.11.7", "", True),
        ("3.11.7", "3.11", True),
        ("3.11.7", "3.11.2", True),
        ("3.11.7", "3.1", False),
        ("3.11.7", ">=3.12", False),
    ],
)
def test_satisfies(version, wanted, answer):
    assert satisfies(version, wanted) is answer
