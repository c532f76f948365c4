"""/gateway/v1 over HTTP: another site's grant, forged grants, MLflow passed through."""

import pytest

from ferryml.compile.tree import bytes_digest
from http_play import fault

DATA = b"print(1)"


@pytest.fixture
def job(http):
    """(gateway client, headers with the grant, run id)."""
    site = http.joined()
    folder = http.folder({"main.py": DATA})
    name = http.running(code=f"content:tree:{folder.digest}:src")
    headers = {"X-Ferry-Grant": http.grant("cloud", name)}
    return site.as_("gateway"), headers, http.shown(name)["mlflow_run_id"]


def test_files_by_range_and_size(job):
    gateway, headers, _ = job
    path = f"/gateway/v1/blobs/{bytes_digest(DATA)}"
    assert gateway.get(path, headers=headers).content == DATA
    assert gateway.get(path, headers={**headers, "Range": "bytes=5-"}).content == DATA[5:]
    assert gateway.head(path, headers=headers).headers["Content-Length"] == "8"


def test_no_grant_a_forged_one_and_another_site_s(http, job):
    gateway, headers, _ = job
    path = f"/gateway/v1/blobs/{bytes_digest(DATA)}"
    assert fault(gateway.get(path)) == (400, "BadRequest")
    assert fault(gateway.get(path, headers={"X-Ferry-Grant": "a.b.c"})) == (403, "BadGrant")
    other = http.joined("edge", "c2").as_("gateway")
    assert fault(other.get(path, headers=headers)) == (403, "NotYourSite")


def test_mlflow_passes_through(http, job):
    gateway, headers, run = job
    base = "/gateway/v1/mlflow/api/2.0/mlflow/runs"
    body = {"run_id": run, "key": "acc", "value": 0.5}
    assert gateway.post(f"{base}/log-metric", json=body, headers=headers).status_code == 200
    assert http.tracking.runs[run].metrics == {"acc": 0.5}
    assert gateway.get(f"{base}/get", params={"run_id": "none"}, headers=headers).status_code == 404
