"""MLflow's files: streamed, checked, and never where they do not belong."""

import hashlib
import socket
from urllib.parse import urlsplit

import pytest

from ferryml.control.ports import TreeFile
from ferryml.domain.errors import Forbidden, NotFound, Refused, TooLarge
from ferryml.server.mlflow.app import Limits
from ferryml.server.mlflow.callers import Caller
from ferryml.server.mlflow.files import Files
from mlflow_things import post

ANNA, ONE = Caller("blue", "data-scientist"), Caller("blue", "data-scientist", "one")
RUN, MODEL = "a" * 32, "m-" + "b" * 32


class Shelf:
    """A tree in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}

    def put(self, workspace, path, chunks):
        self.kept[workspace, path] = b"".join(chunks)
        return TreeFile(path=path, digest="sha256:" + "0" * 64, size=len(self.kept[workspace, path]))


class Ids:
    """A guard that knows one run of job one."""

    def exists(self, workspace, noun, key):
        return (workspace, noun, key) == ("blue", "run", RUN)

    def own_job(self, caller, ids):
        if caller.job not in (None, "one"):
            raise Forbidden("Forbidden", "not yours")


@pytest.mark.parametrize("path", [f"7/{RUN}/artifacts/a.txt", f"workspaces/blue/7/{RUN}/artifacts/deep/a.txt"])
@pytest.mark.parametrize("caller", [ANNA, ONE])
def test_files_go_into_ones_runs(caller, path):
    shelf = Shelf()
    Files(shelf, Ids(), 100).upload(caller, path, iter([b"he", b"y"]))
    assert list(shelf.kept.values()) == [b"hey"]
    assert next(iter(shelf.kept))[1].startswith(f"7/{RUN}/artifacts/")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("ferry/models/iris/1/MLmodel", Refused),
        ("a.txt", Refused),
        (f"7/{RUN}/a.txt", Refused),
        (f"7/{RUN}/artifacts/../../x", Refused),
        (f"7/{RUN}/artifacts/%2e%2e/x", Refused),
        (f"7/{RUN}/artifacts/%252e%252e/x", Refused),
        (f"7/{RUN}/artifacts/a\\b", Refused),
        (f"7/{RUN}/artifacts//x", Refused),
        (f"/7/{RUN}/artifacts/x", Refused),
        (f"7/{RUN}/artifacts/a\x00", Refused),
        (f"workspaces/red/7/{RUN}/artifacts/x", Refused),
        (f"7/{'c' * 32}/artifacts/x", NotFound),
        (f"7/models/{MODEL}/artifacts/x", NotFound),
    ],
)
def test_files_go_nowhere_else(path, error):
    shelf = Shelf()
    with pytest.raises(error):
        Files(shelf, Ids(), 100).upload(ANNA, path, iter([b"x"]))
    assert shelf.kept == {}


def test_a_job_does_not_write_to_another_jobs_run():
    with pytest.raises(Forbidden):
        Files(Shelf(), Ids(), 100).writable(Caller("blue", "data-scientist", "two"), f"7/{RUN}/artifacts/x")


def test_a_file_above_the_limit_is_not_kept():
    shelf = Shelf()
    with pytest.raises(TooLarge):
        Files(shelf, Ids(), 4).upload(ANNA, f"7/{RUN}/artifacts/x", iter([b"123", b"45"]))
    assert shelf.kept == {}


@pytest.fixture(scope="module")
def run(server) -> str:
    """The path of a run's files."""
    with server.client("anna") as anna:
        experiment = post(anna, "/api/2.0/mlflow/experiments/create", name="files")["experiment_id"]
        made = post(anna, "/api/2.0/mlflow/runs/create", experiment_id=experiment, start_time=1)
    return f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{made['run']['info']['run_id']}/artifacts"


def test_the_four_calls(server, run):
    with server.client("anna") as anna:
        assert anna.put(f"{run}/deep/ä b%.txt", content=b"0123456789").status_code == 200
        assert anna.put(f"{run}/top.html", content=b"<script>").status_code == 200
        folder = run.removeprefix("/api/2.0/mlflow-artifacts/artifacts/")
        listed = anna.get("/api/2.0/mlflow-artifacts/artifacts", params={"path": folder}).json()["files"]
        assert listed == [{"path": "deep", "is_dir": True}, {"path": "top.html", "is_dir": False, "file_size": 8}]
        got = anna.get(f"{run}/deep/ä b%.txt")
        assert (got.content, got.headers["content-length"]) == (b"0123456789", "10")
        page = anna.get(f"{run}/top.html").headers
        assert page["content-disposition"].startswith("attachment")
        assert page["x-content-type-options"] == "nosniff"
        part = anna.get(f"{run}/deep/ä b%.txt", headers={"Range": "bytes=3-5"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"345", "bytes 3-5/10")
        assert anna.delete(f"{run}/deep").status_code == 200
        assert anna.get(f"{run}/deep/ä b%.txt").status_code == 404
        assert anna.get(f"{run}/top.html").status_code == 200


@pytest.mark.parametrize("call", ["mpu/create", "mpu/complete", "mpu/abort", "presigned"])
def test_multipart_and_presigned_say_that_they_are_not_supported(server, call):
    with server.client("anna") as blue:
        method = "GET" if call == "presigned" else "POST"
        body = {"path": "x", "num_parts": 1, "upload_id": "u", "parts": []}
        answer = blue.request(method, f"/api/2.0/mlflow-artifacts/{call}/1/x", json=body if method == "POST" else None)
        assert answer.status_code == 501, answer.text


def test_an_upload_that_is_cut_off_leaves_nothing(server, run):
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), 5) as wire:
        head = [f"PUT /mlflow{run}/half.bin HTTP/1.1", "Host: x", "Authorization: Bearer anna", "Content-Length: 1000"]
        wire.sendall("\r\n".join([*head, "", "x" * 10]).encode())
    with server.client("anna") as anna:
        assert anna.get(f"{run}/half.bin").status_code == 404


def test_large_files_with_the_real_client(server):
    digest = server.python(
        "anna",
        """
        import hashlib, mlflow, os, pathlib
        data = os.urandom(1 << 20) * 50
        pathlib.Path("big.bin").write_bytes(data)
        mlflow.set_experiment("large")
        with mlflow.start_run() as run:
            mlflow.log_artifact("big.bin", "deep/er")
        os.remove("big.bin")
        path = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/deep")
        back = pathlib.Path(path, "er", "big.bin").read_bytes()
        assert back == data
        print(hashlib.sha256(data).hexdigest())
        """,
    )
    files = [file for file in server.tree.below("blue", "") if file.path.endswith("deep/er/big.bin")]
    assert [(file.digest, file.size) for file in files] == [(f"sha256:{digest}", 50 << 20)]
    whole = hashlib.sha256()
    for chunk in server.tree.read(files[0]):
        assert len(chunk) <= 4 << 20, "files are read in pieces"
        whole.update(chunk)
    assert whole.hexdigest() == digest


def test_clients_that_want_multipart_fall_back(server):
    server.python(
        "anna",
        """
        import mlflow, pathlib
        pathlib.Path("parts.bin").write_bytes(b"x" * (6 << 20))
        mlflow.set_experiment("parts")
        with mlflow.start_run() as run:
            mlflow.log_artifact("parts.bin")
        path = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/parts.bin")
        assert pathlib.Path(path).stat().st_size == 6 << 20
        """,
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
        MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD="true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=str(5 << 20),
        MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE=str(5 << 20),
    )
    assert any(file.path.endswith("/parts.bin") for file in server.tree.below("blue", ""))


def test_the_limit_holds_on_the_wire(serving):
    with serving(Limits(body=2000, file=100)) as small, small.client("anna") as anna:
        experiment = post(anna, "/api/2.0/mlflow/experiments/create", name="small")["experiment_id"]
        made = post(anna, "/api/2.0/mlflow/runs/create", experiment_id=experiment, start_time=1)
        run_id = made["run"]["info"]["run_id"]
        path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run_id}/artifacts/x"
        assert anna.put(path, content=b"x" * 101).status_code == 413
        assert anna.put(path, content=b"x" * 100).status_code == 200
        tag = {"run_id": run_id, "key": "k", "value": "v" * 3000}
        assert anna.post("/api/2.0/mlflow/runs/set-tag", json=tag).status_code == 413
