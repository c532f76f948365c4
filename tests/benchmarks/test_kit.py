"""Figures are only worth what the arithmetic under them is."""

import json

import pytest

from benchmarks import kit


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1), (0, 1)])
def test_percentiles_are_values_of_the_sample(percent, expected):
    assert kit.percentile(list(range(100, 0, -1)), percent) == expected


def test_one_value_is_every_percentile():
    assert kit.percentile([7.0], 50) == kit.percentile([7.0], 99) == 7.0


def test_an_empty_sample_has_no_percentiles():
    with pytest.raises(ValueError, match="empty"):
        kit.percentile([], 50)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234.5, "1,234"), (12.345, "12.3"), (0.012345, "0.0123"), (float("nan"), "nan")]
)
def test_three_digits_are_shown(value, text):
    assert kit.shown(value) == text


def test_figures_are_printed_and_kept_with_their_units(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kit, "RESULTS", tmp_path)
    figures = kit.Figures("topic")
    figures.spread("wait", [1.0, 2.0, 3.0], "ms")
    figures.tell()
    assert "wait, p50" in capsys.readouterr().out
    kept = json.loads((tmp_path / "topic.json").read_text())
    assert kept["figures"]["wait, p99"] == {"value": 3.0, "unit": "ms"}


def test_what_could_not_be_measured_is_said_everywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kit, "RESULTS", tmp_path)
    figures = kit.Figures("topic", notes=["on two nodes"], missing=["crowd: 3 of 5 jobs were over"])
    figures.add("first job", 12.345, "s")
    figures.tell()
    told = "not measured: crowd: 3 of 5 jobs were over"
    assert told in capsys.readouterr().out
    assert told in json.loads((tmp_path / "topic.json").read_text())["notes"]
    page = (tmp_path / "topic.md").read_text()
    assert "On two nodes. Not measured: crowd" in page
    assert page.endswith("| first job | 12.3 s |\n")


def test_waiting_has_an_end():
    with pytest.raises(TimeoutError):
        kit.until(lambda: None, 0.01, 0.001)
