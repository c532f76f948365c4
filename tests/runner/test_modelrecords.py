"""Lines that wait for the gateway: events as the package means them, batches, bounds."""

import json
import threading

import pytest

from collector_play import TOLD, Taking
from ferryml.runner.modelrecords import PREFIX, Later, Never, Records, Target, event_of, folder_at

KEY = ("endpoint.w.e", "blue", "model_inputs", "2026/03/04/05")
NOW = 1_772_600_000.5
HEADERS = {
    "trace-id": "a1", "ce-time": "1772599999", "ce-type": PREFIX + "model_inputs", "ce-x-request-id": "r-7",
    "ce-collect-data-type": "pandas.core.frame.DataFrame", "ce-agent": "azureml-ai-monitoring/1.0.0",
    "ce-model-version": "default", "content-type": "application/json",
}  # fmt: skip


@pytest.fixture
def gateway():
    return Taking()


def event(body=b'[{"a":1}]', **changes):
    collection, line = event_of(Target(TOLD), {**HEADERS, **changes}, body, NOW)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return {"collection": collection, **json.loads(line)}


def test_an_event_says_what_the_record_is_of():
    assert event() == {
        "collection": "model_inputs", "specversion": "1.0", "id": "a1", "type": "azureml.inference.model_inputs",
        "source": "/endpoints/e/deployments/blue/revisions/rrrrrrrrrr", "datacontenttype": "application/json",
        "time": "2026-03-04T04:53:19Z", "correlationid": "r-7", "xrequestid": "r-7", "modelversion": "3",
        "collectdatatype": "pandas.core.frame.DataFrame", "agent": "azureml-ai-monitoring/1.0.0",
        "contentrange": "bytes 0-8/9", "data": [{"a": 1}],
    }  # fmt: skip


def test_capitals_make_no_difference_to_names():
    assert event(**{"ce-type": PREFIX + "ODD"})["collection"] == "Odd"


@pytest.mark.parametrize("said", [PREFIX + "request", PREFIX, "", "model_inputs"])
def test_what_was_not_declared_is_nothing(said):
    assert event_of(Target(TOLD), {**HEADERS, "ce-type": said}, b"1", NOW) is None


def test_the_scripts_own_attributes_are_kept_and_replace_nothing():
    made = event(**{"ce-tenant": "acme", "ce-id": "forged", "ce-not plain": "x"})
    assert (made["tenant"], made["id"]) == ("acme", "a1")
    assert "not plain" not in made


@pytest.mark.parametrize("said", ["", "soon", "-1", "99999999999999999999", "²"])
def test_a_time_that_is_none_is_now(said):
    assert event(**{"ce-time": said})["time"] == "2026-03-04T04:53:20Z"


def test_bodies_that_are_no_json_are_kept_as_they_are():
    assert event(b"\xff", **{"content-type": "application/octet-stream"})["data_base64"] == "/w=="
    assert event(b"{")["data_base64"] == "ew=="
    assert event(b"[" * 100_000)["data_base64"]
    assert event(None)["data"] is None
    assert "too large" in event(None)["contentrange"]


def test_folders_are_spans_of_time():
    assert folder_at(Target(TOLD), NOW) == "2026/03/04/04"


def test_lines_go_together_when_they_are_old_enough(gateway):
    records = Records(gateway, "pod", every_s=60)
    assert records.offer(KEY, b"1\n")
    assert records.offer(KEY, b"2\n")
    assert records.ship()
    assert gateway.batches == []
    records.ship(force=True)
    records.offer(KEY, b"3\n")
    records.ship(force=True)
    assert gateway.batches == [(KEY, "pod-1", b"1\n2\n"), (KEY, "pod-2", b"3\n")]


def test_much_goes_at_once(gateway):
    records = Records(gateway, "pod", every_s=60)
    records.offer(KEY, b"x" * (1 << 20))
    records.offer(KEY, b"y\n")
    records.ship()
    assert [len(lines) for _, _, lines in gateway.batches] == [1 << 20]


def test_a_gateway_that_is_away_loses_nothing_until_there_is_no_room(gateway):
    records = Records(gateway, "pod", every_s=0, most_bytes=8)
    gateway.error = Later("away")
    assert records.offer(KEY, b"123\n")
    assert not records.ship()
    assert records.offer(KEY, b"456\n")
    assert not records.offer(KEY, b"7\n")
    assert not records.ship()
    assert records.dropped == 1
    gateway.error = None
    assert records.ship()
    assert b"".join(lines for _, _, lines in gateway.batches) == b"123\n456\n"
    assert records.offer(KEY, b"1234567\n")


def test_what_is_refused_is_counted_and_makes_room(gateway):
    records = Records(gateway, "pod", every_s=0, most_bytes=4)
    records.offer(KEY, b"1\n2\n")
    gateway.error = Never("no such deployment")
    assert records.ship()
    assert records.dropped == 2
    assert records.offer(KEY, b"3\n")


def test_the_last_lines_are_sent_at_the_end_and_losses_are_said(gateway):
    records, over, said = Records(gateway, "pod", every_s=60, most_bytes=4), threading.Event(), []
    records.offer(KEY, b"1\n")
    records.offer(KEY, b"too much\n")
    thread = threading.Thread(target=records.work, args=(over, lambda words: (said.append(words), over.set())))
    thread.start()
    thread.join(2)
    assert not thread.is_alive()
    assert "1 records" in said[0]
    assert [lines for _, _, lines in gateway.batches] == [b"1\n"]
