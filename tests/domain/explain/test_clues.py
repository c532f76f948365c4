"""What becomes a clue, and what is too old to be one."""

from explain_play import a_pod, an_event
from ferryml.domain.explain.clues import clues
from ferryml.domain.explain.facts import Facts


def reasons(facts: Facts) -> list[str]:
    return [clue.reason for clue in clues(facts)]


def test_events_of_an_earlier_pod_of_that_name_are_left_out():
    pod = {"metadata": {"name": "a", "uid": "new"}, "status": {"phase": "Pending"}}
    old, new = an_event("BackOff", "x", name="a"), an_event("Failed", "x", name="a")
    old["involvedObject"]["uid"], new["involvedObject"]["uid"] = "old", "new"
    assert reasons(Facts(pods=(pod,), events=(old, new))) == ["Failed"]


def test_events_of_starting_mean_nothing_once_it_runs():
    event = an_event("BackOff", "Back-off pulling image")
    assert reasons(Facts(pods=(a_pod("Pending"),), events=(event,))) == ["BackOff"]
    assert reasons(Facts(pods=(a_pod("Running"),), events=(event,))) == []


def test_events_in_the_newer_shape_are_read_too():
    event = {"reason": "R", "note": "text", "regarding": {"kind": "Job", "name": "j"}}
    (clue,) = clues(Facts(events=(event,)))
    assert (clue.text, clue.where) == ("text", "event of job j")


def test_containers_that_ended_well_say_nothing():
    status = {"name": "main", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    assert reasons(Facts(pods=(a_pod("Succeeded", containerStatuses=[status]),))) == []
