"""Runs a flow with canned answers, without a network."""

import json

from ferryml.sdk.flow import Answer, Pause


def play(flow, *answers):
    """Run a flow with canned answers; returns (calls, result)."""
    calls, rest, answer = [], list(answers), None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as end:
            assert not rest
            return calls, end.value
        if isinstance(step, Pause):
            answer = None
            continue
        calls.append(step)
        answer = Answer(200, {}, json.dumps(rest.pop(0)).encode())
