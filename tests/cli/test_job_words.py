"""Sentences about jobs."""

import pytest

from ferryml.cli.job_words import explained, said


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        ({"name": "j", "status": "Queued", "ferry": {"reason": "site x is away"}}, "j is Queued: site x is away"),
        ({"name": "j", "status": "Failed", "ferry": {"reason": "r", "code": "TimedOut"}}, "j is Failed: [TimedOut] r"),
        ({"name": "j", "status": "Running", "ferry": {"reason": "it runs"}}, ""),
        ({"name": "j", "status": "Queued"}, ""),
    ],
)
def test_one_sentence_or_none(job, sentence):
    assert said(job) == sentence


def test_the_explanation_has_everything():
    finding = {"code": "C", "cause": "why", "level": "failed", "fix": "f"}
    instead = {"compute": "c", "instance_type": "", "words": "w"}
    text = explained("j", {
        "status": "Failed", "code": "UserCodeFailed", "reason": "exit 1", "error_lines": ["boom"], "site": "s",
        "site_state": "Online", "notes": ["n"], "findings": [finding], "alternatives": [instead], "hints": ["h"],
        "times": [{"at": "t", "phase": "Failed"}],
    })  # fmt: skip
    assert text.splitlines() == [
        "j is Failed [UserCodeFailed]: exit 1", "  boom", "Site: s (Online)", "1. Why [C]", "   Fix:  f",
        "It would start now on:", "  compute c: w", "Note: n", "Hint: h", "Times:", "  t  Failed",
    ]  # fmt: skip
