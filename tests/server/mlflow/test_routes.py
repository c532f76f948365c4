"""What is offered is what MLflow has and what was proved; everything else is refused."""

import pytest

from ferryml.server.mlflow.routes import RIGHTS, canonical, right_for
from mlflow_things import ELSEWHERE, LISTS, NAME_NOBODY, flask_routes, probes


def test_every_offered_route_is_proved_here(red, server):
    proved = set(probes(red, server.mine, server.my_run)) | NAME_NOBODY | set(LISTS) | ELSEWHERE
    assert proved == set(RIGHTS), proved ^ set(RIGHTS)


def test_every_offered_route_exists_in_mlflow():
    known = {(method, canonical(rule)) for method, rule in flask_routes()} | {("POST", "/v1/traces")}
    assert set(RIGHTS) <= known, set(RIGHTS) - known


def test_what_is_not_offered_is_refused(server):
    refused = 0
    with server.client("boss") as owner:
        for method, rule in flask_routes():
            if right_for(method, rule) is None:
                path = "/".join("x" if part.startswith("<") else part for part in rule.split("/"))
                answer = owner.request(method, path, json={} if method != "GET" else None)
                assert answer.status_code == 403, (method, rule, answer.status_code)
                refused += 1
    assert refused > 150


@pytest.mark.parametrize(
    "path",
    [
        "/gateway/mlflow/v1/models", "/gateway/x/mlflow/invocations", "/ajax-api/3.0/jobs/", "/ajax-api/3.0/jobs/x",
        "/api/3.0/mlflow/mcp-servers", "/ajax-api/3.0/mlflow/mcp-servers/x", "/ajax-api/3.0/mlflow/assistant/config",
        "/api/2.0/mlflow/users/get", "/signup", "/api//2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get/",
        "/v1/metrics", "/docs", "/openapi.json",
    ],
)  # fmt: skip
def test_mlflows_other_web_framework_is_not_there_at_all(server, path):
    with server.client("boss") as owner:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            assert owner.request(method, path).status_code in (403, 404), (method, path)
