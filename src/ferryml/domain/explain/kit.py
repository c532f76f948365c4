"""How a rule is written: as a text to recognise, or as a function over facts and clues."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ferryml.domain.error_catalogue import Code
from ferryml.domain.explain.clues import OURS, Clue, Kind
from ferryml.domain.explain.facts import Facts
from ferryml.domain.statuses import Finding

Level = Literal["warning", "failed"]
Last = Literal["", "family", "all"]


@dataclass(frozen=True, slots=True)
class Lead:
    """A finding and how sure it is: 100 is what a program of Kubernetes wrote down, 50 a guess from a log line.

    `last`: said only when no other rule of its family (the word before the dot) found anything, or nothing at all did.
    `text`: recognised from one text; of several rules that recognise the same text the surest speaks.
    """

    finding: Finding
    sure: int
    last: Last = ""
    text: str = ""

    @property
    def family(self) -> str:
        return self.finding.check.partition(".")[0]


Look = Callable[[Facts, Sequence[Clue]], Iterator[Lead]]


@dataclass(frozen=True, slots=True)
class Rule:
    """Recognises one text. `cause` and `fix` may name groups of the pattern, and {where}, {container}, {image}, {type}.

    `level` warning: it goes by itself with time.
    """

    name: str
    code: Code
    of: tuple[Kind, ...]
    says: str
    """Regular expression over `REASON: text`, case ignored."""
    cause: str
    fix: str
    sure: int = 90
    level: Level = "failed"
    container: Literal["any", "ours", "users"] = "any"
    last: Last = ""

    def __call__(self, facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
        """At most one lead: the first text that matches is the surest."""
        for clue in said:
            if clue.kind not in self.of or not self._meant(clue):
                continue
            if found := re.search(self.says, f"{clue.reason}: {clue.text}", re.IGNORECASE | re.DOTALL):
                yield self._lead(facts, clue, found)
                return

    def _meant(self, clue: Clue) -> bool:
        match self.container:
            case "ours":
                return clue.container in OURS
            case "users":
                return clue.container not in OURS
        return True

    def _lead(self, facts: Facts, clue: Clue, found: re.Match[str]) -> Lead:
        words = Words({key: value.strip() for key, value in found.groupdict("").items()})
        words.update(
            where=clue.where,
            container=clue.container,
            image=clue.image or "the image",
            reason=clue.reason,
            type=facts.instance_type or "the default instance type",
            text=" ".join(clue.text.split())[:300],
        )
        finding = Finding(
            code=self.code,
            level=self.level,
            cause=_one_line(self.cause.format_map(words)),
            evidence=clue.quoted(found),
            fix=self.fix.format_map(words),
            check=self.name,
        )
        return Lead(finding, self.sure, self.last, finding.evidence)


class Words(dict[str, str]):
    """What a sentence may name; what was not found is left out rather than being an error."""

    def __missing__(self, key: str) -> str:
        return ""


def lead(name: str, code: Code, cause: str, evidence: str, fix: str, sure: int, level: Level = "failed") -> Lead:
    """One lead of a function's."""
    return Lead(Finding(code=code, level=level, cause=cause, evidence=evidence, fix=fix, check=name), sure)


def first(said: Sequence[Clue], kinds: Mapping[Kind, str]) -> tuple[Clue, re.Match[str]] | None:
    """The first clue of a kind whose `REASON: text` matches that kind's pattern."""
    for clue in said:
        pattern = kinds.get(clue.kind)
        found = pattern and re.search(pattern, f"{clue.reason}: {clue.text}", re.IGNORECASE | re.DOTALL)
        if found:
            return clue, found
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())
