"""What is said twice is generated, and what is generated is fresh."""

import re

import generate
from source import ROOT

from ferryml.domain import error_catalogue


def test_generated_files_are_fresh():
    stale = list(generate.stale(generate.pages()))
    assert not stale, f"run make generate: {stale}"


def test_each_error_code_has_a_meaning_and_a_heading():
    codes = set(error_catalogue.codes())
    assert set(error_catalogue.MEANING) == codes
    assert set(re.findall(r"^## (\w+)$", (ROOT / "docs/errors.md").read_text(), re.M)) == codes


def test_a_stale_page_is_noticed():
    pages = generate.pages()
    pages["docs/errors.md"] += "something new\n"
    assert list(generate.stale(pages)) == ["docs/errors.md"]
