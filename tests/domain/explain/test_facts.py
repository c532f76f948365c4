"""Small readers of API objects."""

from ferryml.domain.explain.facts import Facts, about, condition, name_of, statuses, words_of


def test_readers():
    pod = {"metadata": {"name": "p"}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
           "initContainerStatuses": [{"name": "stage"}], "containerStatuses": [{"name": "main"}]}}  # fmt: skip
    assert name_of(pod) == "p"
    assert condition(pod, "Ready")["status"] == "True"
    assert condition(pod, "Other") == {}
    assert [name for name, _ in statuses(pod)] == ["stage", "main"]
    assert about({"regarding": {"name": "x"}}) == {"name": "x"}
    assert words_of({"note": "n"}) == "n"


def test_a_program_has_ended_once_it_has_an_exit_code():
    assert Facts(exit_code=0).ended
    assert not Facts().ended
