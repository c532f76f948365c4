import hashlib
import http.server
import socket
import threading
import tracemalloc

import pytest

from ferryml.runner.door import Door, GaveUp, Rejected, Stopped


class Script:
    """A server that answers as it is told: each item is (status, headers, body) or None, which hangs up."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                script.asked.append((self.command, self.path, dict(self.headers), body))
                answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, data = answer
                self.send_response(status)
                for key, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = "Content-Length" in headers

            do_POST = do_PUT = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/base"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def script():
    made = []

    def make(*answers):
        made.append(Script(*answers))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


def test_calls_carry_the_token_below_the_address(script):
    server = script((200, {}, b'{"a": 1}'))
    door = Door(server.url, "secret", 5)
    assert door.get_json("/v1/x") == {"a": 1}
    assert door.post_json("/v1/y", {"b": 2}) == {"a": 1}
    door.close()
    assert [(verb, path) for verb, path, *_ in server.asked] == [("GET", "/base/v1/x"), ("POST", "/base/v1/y")]
    assert server.asked[0][2]["Authorization"] == "Bearer secret"
    assert server.asked[1][3] == b'{"b": 2}'


def test_a_line_that_was_closed_and_a_busy_gateway_are_tried_again(script):
    busy = (503, {}, b'{"error": {"code": "Unavailable", "message": "link down"}}')
    server = script(None, busy, (200, {}, b"1"))
    waited = []
    door = Door(server.url, "t", 5, waiting=waited.append)
    assert door.get_json("/x") == 1
    door.close()
    assert waited == ["Unavailable: link down"]


def test_patience_ends(script):
    server = script((503, {}, b"not json"))
    with pytest.raises(GaveUp, match="Http503: not json"):
        Door(server.url, "t", 0.05).get_json("/x")
    with pytest.raises(GaveUp, match="refused"):
        Door("http://127.0.0.1:9", "t", 0.05).get_json("/x")


def test_a_stopped_job_waits_no_longer(script):
    server = script((503, {}, b""))
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Door(server.url, "t", 60, stop).get_json("/x")


def test_a_refusal_is_final(script):
    server = script((403, {}, b'{"error": {"code": "StaleAttempt", "message": "newer"}}'))
    door = Door(server.url, "t", 60)
    with pytest.raises(Rejected) as caught:
        door.get_json("/x")
    door.close()
    assert (caught.value.status, caught.value.code) == (403, "StaleAttempt")
    assert len(server.asked) == 1


def test_a_broken_download_goes_on_where_it_stopped(script, tmp_path):
    data = b"0123456789" * 1000
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    server = script((200, {"Content-Length": str(len(data))}, data[:4000]), (206, {}, data[4000:]))
    door = Door(server.url, "t", 5)
    assert door.download("/blob", str(tmp_path / "f"), digest) == len(data)
    door.close()
    assert (tmp_path / "f").read_bytes() == data
    assert server.asked[1][2]["Range"] == "bytes=4000-"


def test_a_gateway_without_ranges_starts_the_file_anew(script, tmp_path):
    data = b"0123456789" * 1000
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    server = script((200, {"Content-Length": str(len(data))}, data[:4000]), (200, {}, data))
    door = Door(server.url, "t", 5)
    door.download("/blob", str(tmp_path / "f"), digest)
    door.close()
    assert (tmp_path / "f").read_bytes() == data


def test_other_bytes_than_the_digest_leave_no_file(script, tmp_path):
    server = script((200, {}, b"evil"))
    door = Door(server.url, "t", 5)
    with pytest.raises(Rejected, match="DigestMismatch"):
        door.download("/blob", str(tmp_path / "f"), "sha256:" + "0" * 64)
    door.close()
    assert not (tmp_path / "f").exists()


def test_files_are_sent_whole(script, tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    server = script(None, (200, {}, b""))
    door = Door(server.url, "t", 5)
    door.put_file("/blob", str(tmp_path / "f"))
    door.close()
    assert len(server.asked[-1][3]) == 3_000_000


def test_a_missing_local_file_is_no_reason_to_wait(script, tmp_path):
    server = script((200, {}, b""))
    with pytest.raises(FileNotFoundError):
        Door(server.url, "t", 60).put_file("/blob", str(tmp_path / "absent"))


def test_a_big_file_takes_little_memory(script, tmp_path):
    with open(tmp_path / "big", "wb") as file:
        file.truncate(100 << 20)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = threading.Thread(target=swallow, args=(server, 100 << 20))
        sink.start()
        tracemalloc.start()
        door = Door(f"http://127.0.0.1:{server.getsockname()[1]}", "t", 5)
        door.put_file("/blob", str(tmp_path / "big"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        door.close()
        sink.join()
    assert peak < 8 << 20


def swallow(server, size):
    line, _ = server.accept()
    with line:
        buffer = bytearray(1 << 20)
        head = b""
        while b"\r\n\r\n" not in head:
            head += line.recv(1)
        while size > 0:
            size -= line.recv_into(buffer)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
