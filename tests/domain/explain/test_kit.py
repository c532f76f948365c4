"""Rules as a whole: enough of them, each complete, each speaking at most once."""

import re

from explain_play import facts_of, recorded
from ferryml.domain.error_catalogue import MEANING
from ferryml.domain.explain import MOST, RULES, explain
from ferryml.domain.explain.clues import Clue, clues
from ferryml.domain.explain.facts import Facts
from ferryml.domain.explain.kit import Rule, first

TABLE = [rule for rule in RULES if isinstance(rule, Rule)]


def test_there_are_enough_and_each_is_named_once():
    assert len(RULES) >= 40
    names = [rule.name for rule in TABLE]
    assert len(names) == len(set(names))


def test_each_rule_says_cause_and_fix_and_has_a_known_code():
    for rule in TABLE:
        assert rule.cause, rule.name
        assert rule.fix, rule.name
        assert rule.code in MEANING, rule.name
        groups = set(re.compile(rule.says).groupindex) | {"where", "container", "image", "type", "reason", "text"}
        named = set(re.findall(r"\{(\w+)\}", rule.cause + rule.fix))
        assert named <= groups, (rule.name, named - groups)


def test_every_recorded_state_is_explained_and_the_surest_stands_first():
    for name in recorded()["states"]:
        found = explain(facts_of(name))
        assert 1 <= len(found) <= MOST, name
        assert len({finding.check for finding in found}) == len(found)


def test_nothing_is_found_where_nothing_is_known():
    assert explain(Facts()) == ()


def test_hostile_texts_cost_no_time_and_break_nothing():
    text = "0/9 nodes are available: " + "1 node(s) {" * 20_000 + "{where} {x}"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    pod = {"metadata": {"name": "a"}, "status": {"phase": "Pending", "conditions": [condition]}}
    log = "ModuleNotFoundError " * 20_000
    assert explain(Facts(pods=(pod,), log_tail=log, exit_code=1))


def test_the_first_text_of_a_kind_counts():
    said = (Clue("event", "A", "x", "here"), Clue("event", "B", "x", "there"))
    found = first(said, {"event": "^B: x"})
    assert found is not None
    assert found[0].where == "there"
    assert first(said, {"log": "x"}) is None


def test_rules_for_our_containers_leave_the_users_alone():
    rule = Rule("a.b", "Internal", ("waiting",), "boom", "c", "f", container="ours")
    assert not list(rule(Facts(), [Clue("waiting", "", "boom", "x", "main")]))
    assert list(rule(Facts(), [Clue("waiting", "", "boom", "x", "stage")]))


def test_evidence_is_short():
    assert all(len(clue.quoted()) < 500 for clue in clues(Facts(log_tail="x" * 10_000)))
