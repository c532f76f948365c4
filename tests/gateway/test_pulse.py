from __future__ import annotations

import threading

import pytest
from pydantic import ValidationError

from ferryml.gateway.journal import Caller
from ferryml.gateway.pulse import Pulse, States, StateSaid
from gateway_play import PlayPlace


def test_news_are_named_since_a_number() -> None:
    pulse = Pulse(100)
    pulse.tell("a", 1)
    pulse.tell("b", 2)
    pulse.tell("b", 2)
    assert pulse.after(100, 0) == {"sequence": 103, "changed": [["a", 1], ["b", 2]]}
    assert pulse.after(101, 0) == {"sequence": 103, "changed": [["b", 2]]}


def test_no_news_is_an_answer_too() -> None:
    assert Pulse(7).after(7, 0.01) == {"sequence": 7, "changed": []}


def test_who_comes_from_another_life_must_look_at_everything() -> None:
    pulse = Pulse(100)
    for asked in (0, 50, 500):
        assert pulse.after(asked, 0)["changed"] is None


def test_too_much_news_are_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse(0)
    for number in range(10_050):
        pulse.tell("a", number)
    assert pulse.after(10, 0)["changed"] is None
    assert len(pulse.after(60, 0)["changed"]) == 9_990


def test_waiting_ends_with_news_and_with_the_program() -> None:
    pulse, heard = Pulse(1), []
    for end in (lambda: pulse.tell("a", 1), pulse.close):
        waiting = threading.Thread(target=lambda: heard.append(pulse.after(pulse.after(0, 0)["sequence"], 30)))
        waiting.start()
        end()
        waiting.join(5)
        assert not waiting.is_alive()


def test_the_last_word_of_each_rank_is_kept(gateway: PlayPlace) -> None:
    pulse = Pulse(1)
    states = States(gateway.db, pulse)
    for rank, phase in ((0, "staging"), (1, "staging"), (0, "running")):
        states.take(Caller("job.w.j", 1, "w", "", rank), StateSaid(phase=phase))
    assert {rank: state["phase"] for rank, state in states.of("job.w.j", 1).items()} == {0: "running", 1: "staging"}
    assert states.of("job.w.j", 2) == {}
    assert pulse.after(1, 0)["changed"] == [["job.w.j", 1]]


@pytest.mark.parametrize(
    "body", [{}, {"phase": "x"}, {"phase": "done", "code": "a b"}, {"phase": "done", "notes": ["x"] * 101}]
)
def test_words_have_bounds(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StateSaid.model_validate(body)


def test_long_lines_are_cut() -> None:
    assert len(StateSaid(phase="done", error_lines=["x" * 5000]).kept()["error_lines"][0]) == 1000
