import hashlib
import http.server
import json
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ferryml.backends.local.environments import LocalEnvironments
from ferryml.backends.local.jobs import LocalJobs
from ferryml.compile.environment import environment_order
from ferryml.compile.tree import bytes_digest, tree_bytes
from ferryml.domain.orders import InputOrder, JobOrder, OutputOrder, Tree, TreeEntry, TreeRef
from ferryml.domain.seen import Launch
from ferryml.settings.site import SiteSettings


class Door:
    """What the gateway's contract promises to a job, over real HTTP, kept in memory."""

    def __init__(self):
        self.blobs, self.logs, self.outputs, self.complete = {}, {}, {}, None
        self.down = False
        self.public = {}
        self.calls = []
        self.token = "t0ken"
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self, status, body=b"", kind="application/json"):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)

            def body(self):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def handle_one(self):
                body = self.body()
                url = urlsplit(self.path)
                door.calls.append((self.command, url.path))
                if url.path in door.public:
                    return self.answer(200, door.public[url.path])
                if door.down:
                    return self.answer(503, b'{"error":{"code":"Unavailable","message":"down"}}')
                if self.headers.get("Authorization") != f"Bearer {door.token}":
                    return self.answer(403, b'{"error":{"code":"StaleAttempt","message":"a newer attempt owns it"}}')
                status, answer = door.serve(self.command, url.path, parse_qs(url.query), body)
                self.answer(status, answer)

            do_GET = do_PUT = do_POST = handle_one

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def serve(self, verb, path, query, body):
        if verb == "GET":
            digest = path.rsplit("/", 1)[1]
            if digest not in self.blobs:
                return 404, json.dumps({"error": {"code": "BlobMissing", "message": f"{digest} is missing"}}).encode()
            return 200, self.blobs[digest]
        if verb == "PUT":
            assert bytes_digest(body) == path.rsplit("/", 1)[1]
            self.blobs[bytes_digest(body)] = body
            return 200, b"{}"
        if path == "/v1/logs":
            name, offset = query["path"][0], int(query["offset"][0])
            held = self.logs.get(name, b"")
            assert offset <= len(held)
            self.logs[name] = held + body[len(held) - offset :] if body else held
            return 200, json.dumps({"size": len(self.logs[name])}).encode()
        value = json.loads(body)
        if path == "/v1/outputs":
            self.outputs[value["name"]] = Tree.model_validate(value["tree"])
            return 200, b"{}"
        assert path == "/v1/complete"
        self.complete = value
        return 200, b'{"receipt": {"seq": 7}}'

    def add(self, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def tree(self, files):
        entries = tuple(
            TreeEntry(path=path, digest=self.add(data), size=len(data)) for path, data in sorted(files.items())
        )
        return TreeRef(digest=self.add(tree_bytes(Tree(entries=entries))), kind="tree")

    def content(self, output):
        return {entry.path: self.blobs[entry.digest] for entry in self.outputs[output].entries}


@pytest.fixture
def door():
    door = Door()
    yield door
    door.server.shutdown()
    door.server.server_close()


@pytest.fixture(scope="session")
def envs_root(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def environments(envs_root):
    """One plain environment serves all tests of jobs."""
    return LocalEnvironments(envs_root, SiteSettings())


PLAIN = environment_order()


@pytest.fixture(scope="session")
def plain(environments):
    environments.prepare(PLAIN)
    return until(lambda: environments.environment(PLAIN.key), lambda seen: seen.state in ("ready", "failed"))


@pytest.fixture
def jobs(tmp_path, environments, plain):
    assert plain.state == "ready", plain.message
    jobs = LocalJobs(tmp_path / "state", environments, SiteSettings(log_flush_s=0.02, cancel_grace_s=5))
    yield jobs
    for uid, _ in jobs.list():
        jobs.clean(uid)


@pytest.fixture
def launch(jobs, door):
    """launch(command, ...) starts attempt 1 of job.ws.j and gives its Launch back."""

    def start(command, attempt=1, uid="job.ws.j", previous=None, **order):
        order = JobOrder(
            workspace="ws", name="j", compute="local", command=command, environment=PLAIN,
            **{"mlflow_run_id": "r1", "mlflow_experiment": "exp", **order},
        )  # fmt: skip
        launch = Launch(
            uid=uid, attempt=attempt, order=order, gateway_url=door.url, token=door.token, env_key=PLAIN.key,
            previous_outputs=previous or {},
        )  # fmt: skip
        jobs.launch(launch)
        return launch

    return start


@pytest.fixture
def ended(jobs):
    """ended() waits for the attempt's end and gives what is seen of it."""

    def wait(uid="job.ws.j", attempt=1, limit_s=60):
        return until(
            lambda: jobs.observe(uid, attempt),
            lambda seen: seen.state == "lost" or (seen.state == "exited" and (seen.outputs_done or seen.code)),
            limit_s,
        )

    return wait


def until(look, enough, limit_s=60):
    pause = threading.Event()
    for _ in range(int(limit_s / 0.02)):
        seen = look()
        if enough(seen):
            return seen
        pause.wait(0.02)
    raise AssertionError(f"not within {limit_s} s; last seen: {seen!r}")


@pytest.fixture(name="until")
def until_fixture():
    return until


@pytest.fixture
def orders():
    """The order types, so that tests need not import them one by one."""

    class Orders:
        Input, Output, Tree = InputOrder, OutputOrder, TreeRef

    return Orders


@pytest.fixture
def folder_of(jobs):
    return lambda uid="job.ws.j", attempt=1: next(Path(jobs.root, "jobs").glob(f"{uid}-*")) / str(attempt)
