"""Bodies are bounded, requests have ids, and failures are answered."""

import pytest

from http_play import Http, W, fault


@pytest.fixture
def small(tmp_path):
    made = Http(tmp_path, max_body_bytes=2048)
    yield made
    made.close()


def test_large_documents_are_refused_before_they_are_read(small):
    assert fault(small.as_().post(f"{W}/jobs", json={"command": "x" * 4000})) == (413, "LimitExceeded")


def test_large_streams_are_cut(small):
    answer = small.as_().post(
        f"{W}/jobs", content=iter([b"x" * 1500] * 3), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 413)
    assert "error" in answer.json()


def test_parts_of_uploads_have_a_bound_of_their_own(small):
    digest = "sha256:" + "0" * 64
    owner = small.as_()
    started = owner.post(f"{W}/artifacts/uploads", json={"digest": digest, "size": 4000}).json()
    answer = owner.patch(f"{W}/artifacts/uploads/{started['id']}", content=b"x" * 4000, headers={"Upload-Offset": "0"})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "4000")


def test_every_answer_has_an_id(http):
    ids = {http.client().get("/healthz").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_a_defect_is_logged_and_answered(http, monkeypatch, caplog):
    def broken():
        raise RuntimeError("secret inside")

    monkeypatch.setattr(http.store, "read", broken)
    answer = http.as_().get(f"{W}/jobs")
    assert fault(answer) == (500, "Internal")
    assert "secret inside" not in answer.text
    assert answer.json()["request_id"] in caplog.text
