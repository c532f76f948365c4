"""Quantities as Kubernetes reads them."""

import pytest

from ferryml.domain.quantities import amount, cpu_words, millis, resource_words, size_words, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", 0.1), ("2", 2), (3, 3), ("1.5", 1.5), ("2Gi", 2**31), ("128M", 128e6), ("1e3", 1000), ("5k", 5000),
     ("123n", 1.23e-7), (None, 0), ("12Ki", 12288), (".5Gi", 2**29)],
)  # fmt: skip
def test_values(text, value):
    assert amount(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "two", "1 apple", "1iM", "--1"])
def test_what_is_none(text):
    with pytest.raises(ValueError, match="quantity"):
        amount(text)


def test_whole_numbers_are_rounded_up():
    assert (millis("100m"), millis("1"), millis("1n")) == (100, 1000, 1)
    assert (whole("1500m"), whole("1Ki")) == (2, 1024)


def test_words():
    assert [cpu_words(n) for n in (0, 250, 1000, 1500)] == ["0", "250m", "1", "1.5"]
    assert [size_words(n) for n in (5, 2**20, 1.5 * 2**30, 1000 * 2**20)] == ["5 B", "1 MiB", "1.5 GiB", "1000 MiB"]
    assert resource_words("cpu", 0.1) == "100m"
    assert resource_words("memory", 2**30) == "1 GiB"
    assert resource_words("nvidia.com/gpu", 2) == "2"
