"""Probes and patience, with the clock in hand."""

import http.server
import threading

import pytest

from ferryml.backends.local.serving_health import SLOWEST_RESTART_S, Health, ProbeRules, answers, restart_delay


def health(**rules) -> Health:
    return Health(ProbeRules(**{"period": 10, "initial_delay": 5, "failure_threshold": 3, **rules}), since=100.0)


def test_it_asks_often_until_well_and_by_the_period_after():
    made = health()
    assert made.due(100)
    made.heard(False, 100)
    assert not made.due(100.1)
    assert made.due(100.2)
    made.heard(True, 100.2)
    assert not made.due(105)
    assert made.due(110.2)


def test_successes_in_a_row_make_it_well():
    made = health(success_threshold=2)
    made.heard(True, 100)
    assert not made.well
    made.heard(False, 101)
    made.heard(True, 102)
    assert not made.well
    made.heard(True, 103)
    assert made.well


def test_while_it_starts_failures_count_only_after_delay_and_all_periods():
    made = health()
    assert not any(made.heard(False, at) for at in (100, 105, 120, 134))
    assert made.heard(False, 135)


def test_once_well_only_failures_in_a_row_make_it_ill():
    made = health()
    made.heard(True, 100)
    assert [made.heard(ok, 110) for ok in (False, False, True, False, False)] == [False] * 5
    assert made.well
    assert made.heard(False, 120)
    assert not made.well


def test_restarts_become_slower():
    assert [restart_delay(n) for n in (1, 2, 3)] == [0.5, 1, 2]
    assert restart_delay(50) == SLOWEST_RESTART_S


@pytest.mark.parametrize(("status", "well"), [(200, True), (302, True), (404, False), (500, False)])
def test_an_answer_is_judged_by_its_code(status, well):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.handle_request, daemon=True)
    thread.start()
    assert answers(server.server_address[1], "/x", 2) is well
    thread.join(5)
    server.server_close()


def test_nobody_there_is_no_answer(free_port):
    assert not answers(free_port, "/", 1)
