"""Calls of a connection, each as the server wants it."""

import pytest

from ferryml.sdk import connections
from ferryml.sdk.flow import Answer, Call


def first(flow):
    """The call that a flow begins with."""
    call = next(flow)
    assert isinstance(call, Call)
    return call


def test_each_call_and_what_is_made_of_its_answer():
    assert first(connections.connect("w", "j", {"command": ["sh"]})).path == "/api/v1/workspaces/w/jobs/j/connections"
    said = first(connections.say("w", "c1", 3, b"\xff"))
    assert (said.method, said.path) == ("POST", "/api/v1/workspaces/w/connections/c1/in")
    assert said.body == b'{"offset": 3, "data": "/w=="}'
    hearing = connections.hear("w", "c1", 5, 20)
    assert first(hearing).query == {"offset": 5, "wait": 20}
    with pytest.raises(StopIteration) as end:
        hearing.send(Answer(200, {}, b'{"offset": 5, "data": "/w==", "over": true}'))
    assert end.value.value == (b"\xff", True)
    assert first(connections.close("w", "c1")).method == "DELETE"
