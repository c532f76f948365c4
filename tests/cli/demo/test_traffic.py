"""The demo's senders count what really came back."""

import http.server
import itertools
import json
import threading

import httpx
import pytest

from ferryml.cli.demo.traffic import Scored, Traffic, accuracy, images, score

IMAGE = ([0.0, 16.0], 7)


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Says 7 to the right key; every third answer is a fault when `faulty`."""

    faulty = False
    count = itertools.count(1)

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        good = self.headers["Authorization"] == "Bearer key" and "image" in sent
        status = 401 if not good else 500 if self.faulty and next(self.count) % 3 == 0 else 200
        body = json.dumps({"predictions": [7]} if status == 200 else {}).encode()
        self.send_response(status)
        self.send_header("x-request-id", "r1")
        self.send_header("azureml-model-deployment", "blue")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Silent: what matters is asserted."""


@pytest.fixture
def endpoint():
    """Starts one that is faulty or not; its URL."""
    servers = []

    def start(faulty=False):
        handler = type("Handler", (Endpoint,), {"faulty": faulty, "count": itertools.count(1)})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/score"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answered(traffic, count):
    """The answers, once there are so many."""
    pause = threading.Event()
    for _ in range(1000):
        if len(traffic.answers()) >= count:
            return traffic.answers()
        pause.wait(0.01)
    raise AssertionError(f"only {traffic.answers()}")


def test_images_are_rows_of_pixels_and_a_label(tmp_path):
    (tmp_path / "digits.csv").write_text("0.0,16.0,7\n1.5,2.0,3\n")
    assert images(tmp_path / "digits.csv") == [IMAGE, ([1.5, 2.0], 3)]


def test_an_answer_is_kept_with_what_it_came_from(endpoint):
    with httpx.Client(trust_env=False) as http_client:
        assert score(http_client, endpoint(), "key", IMAGE) == Scored(200, "r1", "blue", 7, 7)
        refused = score(http_client, endpoint(), "wrong", IMAGE)
    assert (refused.status, refused.prediction) == (401, None)


def test_accuracy_counts_unanswered_ones_as_wrong():
    right, wrong, none = (Scored(200, "", "", said, 7) for said in (7, 1, None))
    assert accuracy([right, right, wrong, none]) == 0.5
    assert accuracy([]) == 0.0


def test_traffic_goes_round_its_images_and_tells_faults(endpoint):
    with Traffic(endpoint(faulty=True), "key", [IMAGE, ([1.0], 1)], people=2, pause_s=0) as traffic:
        kept = answered(traffic, 6)
    assert {one.label for one in kept} == {7, 1}
    assert traffic.failed() >= 2
    assert traffic.failed() < len(traffic.answers())


def test_nobody_sends_after_the_end(endpoint):
    with Traffic(endpoint(), "key", [IMAGE], people=2, pause_s=0) as traffic:
        answered(traffic, 2)
    assert not any(thread.is_alive() for thread in traffic._threads)


def test_a_door_that_is_shut_is_a_failed_answer(free_port):
    with Traffic(f"http://127.0.0.1:{free_port}/score", "key", [IMAGE], people=1, pause_s=0) as traffic:
        assert answered(traffic, 1)[0] == Scored(0, "ConnectError", "", None, 7)
    assert traffic.failed() == len(traffic.answers())
