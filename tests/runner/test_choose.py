import io
import sys

import pytest

from ferryml.compile.pythons import choose_python
from ferryml.domain.errors import Refused
from ferryml.runner.choose import choose, main, version_of

HERE = ["3.11.7", "3.9.18", "3.13.0"]
WISHES = ["3.11", "3.9.5", "3.8", ">=3.10", ">=3.9,<3.12", "~=3.9", "!=3.13", "<3.11", "3.8.2", "<=3.9", ">3.13"]


@pytest.mark.parametrize("policy", ["exact", "nearest"])
@pytest.mark.parametrize("wanted", WISHES)
def test_it_decides_as_sites_without_images_do(wanted, policy):
    try:
        expected = choose_python(wanted, HERE, policy).version
    except Refused:
        with pytest.raises(ValueError, match="is not in the image"):
            choose(wanted, HERE, policy)
        return
    assert choose(wanted, HERE, policy)[0] == expected


def test_without_a_wish_it_is_the_images_own():
    assert choose("", HERE, "exact") == ("3.11.7", "")


def test_what_differs_is_said():
    assert choose("3.9.5", HERE, "exact")[1] == "python 3.9.5 was asked for; 3.9.18 is what the image has"
    assert "nearest" in choose("3.8", HERE, "nearest")[1]


def test_nothing_to_choose_from_is_said():
    with pytest.raises(ValueError, match="has no Python"):
        choose("3.11", [], "nearest")
    with pytest.raises(ValueError, match="cannot be read"):
        choose("three", HERE, "exact")


def test_it_prints_version_path_and_note(capsys):
    own = "{}.{}.{}".format(*sys.version_info[:3])
    assert main(["choose.py", own, "exact"], io.StringIO(f"/nowhere/python\n{sys.executable}\n\n")) == 0
    assert capsys.readouterr().out == f"{own}\n{sys.executable}\n\n"
    assert main(["choose.py", "2.0", "exact"], [sys.executable]) == 3
    assert "python 2.0 is not in the image" in capsys.readouterr().out


def test_what_is_no_python_has_no_version():
    assert version_of("/bin/false") == ""
