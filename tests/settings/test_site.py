"""The site's name goes into keys, file names and addresses, so its form is narrow."""

import pytest

from ferryml.settings import SiteSettings


@pytest.mark.parametrize("name", ["onprem", "a", "edge-7"])
def test_a_good_name(name):
    assert SiteSettings(name=name).name == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "../a", "Upper", "a" * 41])
def test_a_bad_name(name):
    with pytest.raises(ValueError, match="name"):
        SiteSettings(name=name)


def test_python_is_exact_unless_the_site_says_otherwise():
    assert SiteSettings().python == "exact"
    assert SiteSettings(python="nearest").python == "nearest"
