import hashlib
import http.client
import http.server
import json
import socket
import threading
import tracemalloc

import pytest

from ferryml.runner.relay import Relay


class Quiet(http.server.ThreadingHTTPServer):
    """Callers that hang up are no news."""

    def handle_error(self, request, client_address):
        return


class Gateway:
    """Answers every call with what it was told; counts connections."""

    def __init__(self, port=0, status=200, headers=None, body=b"ok"):
        self.asked, self.connections = [], 0
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                gateway.connections += 1
                super().setup()

            def log_message(self, *args):
                pass

            def do_GET(self):
                seen = hashlib.sha256()
                size = 0
                if self.headers.get("Transfer-Encoding") == "chunked":
                    while left := int(self.rfile.readline(), 16):
                        piece = self.rfile.read(left)
                        seen.update(piece)
                        size += len(piece)
                        self.rfile.readline()
                    self.rfile.readline()
                left = int(self.headers.get("Content-Length") or 0)
                while left:
                    piece = self.rfile.read(min(left, 1 << 16))
                    seen.update(piece)
                    size, left = size + len(piece), left - len(piece)
                gateway.asked.append((self.command, self.path, dict(self.headers), size, seen.hexdigest()))
                self.send_response(status)
                for name, value in (headers or {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_POST = do_PUT = do_HEAD = do_GET

        self.server = Quiet(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def world():
    opened = []

    def make(patience_s=0.0, gateway=None, **answer):
        gateway = gateway or Gateway(**answer)
        relay = Relay(f"http://127.0.0.1:{gateway.port}", "", lambda: "pod-token", 0, patience_s)
        line = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
        opened.extend([line, relay, gateway])
        return gateway, line

    yield make
    for thing in opened:
        thing.close()


def said(line):
    answer = line.getresponse()
    return answer.status, answer.read()


def test_calls_go_through_with_the_pods_token_on_one_connection(world):
    gateway, line = world()
    for _ in range(3):
        line.request("POST", "/mlflow/api/x?q=1", b"body", {"Authorization": "Bearer user", "X-Own": "kept"})
        assert said(line) == (200, b"ok")
    verb, path, headers, size, _ = gateway.asked[0]
    assert (verb, path, size) == ("POST", "/mlflow/api/x?q=1", 4)
    assert (headers["Authorization"], headers["X-Own"]) == ("Bearer pod-token", "kept")
    assert headers["Host"] == f"127.0.0.1:{gateway.port}"
    assert gateway.connections == 1


@pytest.mark.parametrize("path", ["/admin/v1/dismiss", "/healthz", "/", "/v2/x", "http://other/v1/x"])
def test_only_what_is_for_pods_is_reached(world, path):
    gateway, line = world()
    line.request("GET", path)
    assert said(line)[0] == 404
    assert gateway.asked == []


def test_big_bodies_stream_in_constant_memory(world):
    gateway, line = world()
    block, count = b"x" * (1 << 20), 48
    tracemalloc.start()
    line.request("PUT", "/mlflow/file", (block for _ in range(count)), {"Content-Length": str(count << 20)})
    assert said(line) == (200, b"ok")
    line.request("PUT", "/mlflow/file", (block for _ in range(count)), encode_chunked=True)
    assert said(line) == (200, b"ok")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole = hashlib.sha256(block * count).hexdigest()
    assert [asked[3:] for asked in gateway.asked] == [(count << 20, whole)] * 2
    assert peak < 20 << 20


def test_answers_of_every_kind_come_back(world):
    _, line = world(headers={"Transfer-Encoding": "chunked", "X-Kind": "a"}, body=b"3\r\nabc\r\n0\r\n\r\n")
    line.request("GET", "/v1/x")
    answer = line.getresponse()
    assert (answer.read(), answer.headers["X-Kind"]) == (b"abc", "a")
    _, line = world(status=404, body=b"no")
    line.request("HEAD", "/v1/x")
    assert said(line) == (404, b"")
    line.request("GET", "/v1/x")
    assert said(line) == (404, b"no")
    _, line = world(status=204, headers={"X": "y"}, body=b"")
    line.request("GET", "/v1/x")
    assert said(line) == (204, b"")


def test_a_gateway_that_comes_back_in_time_is_waited_for(world):
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    away = type("Away", (), {"port": port, "close": lambda self: None})()
    _, line = world(patience_s=20, gateway=away)
    late = []
    threading.Timer(0.3, lambda: late.append(Gateway(port))).start()
    line.request("POST", "/mlflow/api/2.0/mlflow/runs/log-batch", b"{}")
    assert said(line) == (200, b"ok")
    late[0].close()


def test_a_gateway_that_stays_away_is_a_503_that_clients_repeat(world):
    gateway, line = world()
    gateway.close()
    line.request("POST", "/mlflow/api/x", b"{}")
    answer = line.getresponse()
    body = json.loads(answer.read())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert body["error_code"] == "TEMPORARILY_UNAVAILABLE"
    line.request("POST", "/mlflow/api/x", b"{}")
    assert said(line)[0] == 503


def test_nonsense_is_refused(world):
    gateway, line = world()
    line.putrequest("POST", "/v1/x")
    line.putheader("Content-Length", "-5")
    line.endheaders()
    assert said(line)[0] == 400
    assert gateway.asked == []
