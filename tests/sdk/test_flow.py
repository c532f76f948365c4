"""Calls as values."""

import pytest

from ferryml.sdk.flow import Call, ask, get, listed, send
from flow_play import play


def test_get_leaves_out_what_was_not_said():
    calls, result = play(get("/x", a=1, b=None), {"k": 1})
    assert (calls, result) == ([Call("GET", "/x", {"a": 1})], {"k": 1})


def test_only_post_is_not_repeated():
    assert not play(send("POST", "/x", {"a": 1}), {})[0][0].repeatable
    call = play(send("PUT", "/x", {"a": 1}), {})[0][0]
    assert (call.repeatable, call.body, call.headers) == (True, b'{"a": 1}', {"Content-Type": "application/json"})
    assert play(send("DELETE", "/x"), None)[0][0].body is None


def test_lists_go_through_their_pages():
    pages = ({"items": [1, 2], "next": 2}, {"items": [3], "next": None})
    calls, result = play(listed("/x"), *pages)
    assert result == [1, 2, 3]
    assert [call.query for call in calls] == [{}, {"after": 2}]
    calls, result = play(listed("/x", 2), {"items": [1, 2], "next": 2})
    assert (result, calls[0].query) == ([1, 2], {"limit": 2})
    assert play(listed("/x"), {"items": [], "next": 7})[1] == []


def test_an_unanswered_call_is_a_defect():
    flow = ask(Call("GET", "/x"))
    next(flow)
    with pytest.raises(RuntimeError):
        flow.send(None)
