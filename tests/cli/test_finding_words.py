"""Findings as a person reads them."""

from ferryml.cli.finding_words import causes, checks, instead

FOUND = {"code": "DnsFailed", "level": "failed", "cause": "no name", "evidence": "e", "fix": "mend it", "check": "dns"}


def test_causes():
    assert causes([FOUND]) == ["1. No name [DnsFailed]", "   Seen: e", "   Fix:  mend it"]
    assert "may pass by itself" in causes([{**FOUND, "level": "warning"}])[0]
    assert causes([]) == []


def test_checks_show_the_fix_of_what_is_not_well():
    lines = checks([{**FOUND, "level": "ok", "check": "dns"}, {**FOUND, "check": "images"}])
    assert lines == [
        "ok       dns     no name (e)",
        "FAILED   images  no name [DnsFailed] (e)",
        "                 Fix: mend it",
    ]


def test_where_it_would_start():
    assert instead([]) == []
    found = {"compute": "c", "instance_type": "small", "words": "cpu 1"}
    assert instead([found])[1] == "  compute c, instance type small: cpu 1"
