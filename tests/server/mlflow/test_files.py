"""MLflow's files: streamed, checked, and never where they do not belong."""

import pytest


@pytest.mark.parametrize("call", ["mpu/create", "mpu/complete", "mpu/abort", "presigned"])
def test_multipart_and_presigned_say_that_they_are_not_supported(server, call):
    with server.client("anna") as blue:
        method = "GET" if call == "presigned" else "POST"
        body = {"path": "x", "num_parts": 1, "upload_id": "u", "parts": []}
        answer = blue.request(method, f"/api/2.0/mlflow-artifacts/{call}/1/x", json=body if method == "POST" else None)
        assert answer.status_code == 501, answer.text
