"""The rules for names, noun by noun, and the dice for names that nobody chose."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ferryml.domain.errors import Refused


@dataclass(frozen=True, slots=True)
class Rule:
    """How the names of one noun look; `words` says it to people."""

    noun: str
    pattern: re.Pattern[str]
    shortest: int
    longest: int
    words: str

    def fault(self, name: str) -> str:
        """What is wrong with `name`; empty when nothing is."""
        if self.shortest <= len(name) <= self.longest and self.pattern.fullmatch(name):
            return ""
        return (
            f"{self.noun} name {name[:80]!r} is not allowed: {self.words}, {self.shortest} to {self.longest} characters"
        )


_ASSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DASHED = re.compile(r"[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_ASSET_WORDS = "letters, digits, dashes, underscores and dots, starting with a letter or digit"
_DASHED_WORDS = "letters, digits and dashes, starting with a letter and not ending with a dash"

RULES: dict[str, Rule] = {
    rule.noun: rule
    for rule in (
        Rule("workspace", _WORD, 2, 33, "letters, digits, dashes, underscores and dots"),
        Rule("site", _LABEL, 2, 40, "lower-case letters, digits and dashes, not starting or ending with a dash"),
        Rule("zone", _WORD, 1, 63, "letters, digits, dashes, underscores and dots"),
        Rule("compute", _DASHED, 2, 32, _DASHED_WORDS),
        Rule("instance type", _ASSET, 1, 63, _ASSET_WORDS),
        Rule("datastore", re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*"), 1, 255, "letters, digits, dashes and underscores"),
        Rule("asset", _ASSET, 1, 255, _ASSET_WORDS),
        Rule("version", _ASSET, 1, 100, _ASSET_WORDS),
        Rule("job", _WORD, 1, 255, "letters, digits, dashes, underscores and dots"),
        Rule("endpoint", _DASHED, 3, 32, _DASHED_WORDS),
        Rule("deployment", _DASHED, 3, 32, _DASHED_WORDS),
        Rule("rollout", _ASSET, 1, 63, _ASSET_WORDS),
        Rule("automation", _ASSET, 1, 63, _ASSET_WORDS),
        Rule("webhook", _ASSET, 1, 63, _ASSET_WORDS),
        Rule("input or output", _KEY, 1, 255, "letters, digits and underscores, not starting with a digit"),
        Rule("environment variable", re.compile(r"[^=\0\s]+"), 1, 255, "no '=', no spaces"),
    )
}

ENDPOINT_AND_DEPLOYMENT = (6, 62)
"""How long the two names may be together (a Kubernetes label has to hold them)."""

_ADJECTIVES = tuple(
    """
    amber bold brave bright calm clever cool crisp eager fair fast fine gentle glad golden good great
    happy honest jolly keen kind lively loyal lucky mellow merry mighty modest neat nimble noble patient
    plain polite proud quick quiet ready rosy silent silver sincere smart smooth solid steady strong
    sunny sweet swift tidy tender upbeat warm wise witty
    """.split()  # noqa: SIM905 - words read best as words
)
_NOUNS = tuple(
    """
    anchor apple arch barge basil beach bell birch bridge brook cable camel canal canyon cedar clock
    cloud coral cove crane dock dune eagle fern ferry field fjord flag forest garden glove harbor heron
    hill island jetty kettle lagoon lake lamp lemon loaf marble meadow melon mill moon oar ocean olive
    onion orchid otter peach pearl pier plum pond reef river rope sail seal ship shore spring star stone
    tide tower turtle valley wagon wave wharf willow window yacht
    """.split()  # noqa: SIM905 - words read best as words
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def check(noun: str, name: str) -> str:
    """Give `name` back when it follows the rule of `noun`; raises Refused `BadName`."""
    if fault := RULES[noun].fault(name):
        raise Refused("BadName", fault, "Choose another name.", {"noun": noun})
    return name


def job_name(below: Callable[[int], int]) -> str:
    """`adjective_noun_xxxxxxxxxx`; `below(n)` draws from 0..n-1."""
    tail = "".join(_LETTERS[below(len(_LETTERS))] for _ in range(10))
    return f"{_ADJECTIVES[below(len(_ADJECTIVES))]}_{_NOUNS[below(len(_NOUNS))]}_{tail}"
