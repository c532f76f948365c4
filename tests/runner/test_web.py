import http.server
import threading

import pytest

from ferryml.runner.web import Unreachable, fetch_uri


@pytest.fixture
def web():
    answers = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            left = answers.get(self.path.split("?")[0], [(404, b"", {})])
            status, body, headers = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()


def fetch(uri, target, stop=None):
    fetch_uri({"uri": uri}, str(target), stop or threading.Event())


def test_a_file_comes_through_redirects(web, tmp_path):
    url, answers = web
    answers["/here"] = [(302, b"", {"Location": "/there"})]
    answers["/there"] = [(200, b"data", {})]
    fetch(f"{url}/here?sig=1", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"data"


def test_what_is_not_there_is_named_without_query_and_credentials(web, tmp_path):
    url, _ = web
    with pytest.raises(Unreachable) as caught:
        fetch(f"{url}/gone?sig=secret", tmp_path / "f")
    assert str(caught.value) == f"{url}/gone answers 404 Not Found"
    assert not list(tmp_path.iterdir())


def test_a_cut_transfer_is_tried_again(web, tmp_path):
    url, answers = web
    answers["/x"] = [(200, b"da", {"Content-Length": "4"}), (200, b"data", {})]
    fetch(f"{url}/x", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"data"


def test_a_stopped_job_gives_up(tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Unreachable, match="refused"):
        fetch("http://127.0.0.1:9/x", tmp_path / "f", stop)


def test_local_files_are_no_web_addresses(tmp_path):
    with pytest.raises(Unreachable):
        fetch("file:///etc/hostname", tmp_path / "f")
