"""The REST API against its own OpenAPI document: whatever comes, the answer is never a defect."""

import itertools
import warnings

import pytest
from hypothesis import HealthCheck, given, settings

from control_play import OWNER, WORKSPACE
from ferryml.control import assets
from http_play import Http

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error

EXAMPLES = 12
"""For each operation."""
GENTLE = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
warned = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with something of everything."""
    made = Http(tmp_path_factory.mktemp("server"))
    site = made.joined()
    folder = made.folder({"main.py": b"print(1)"})
    content = f"content:tree:{folder.digest}:d"
    for kind in ("data", "model", "code"):
        assets.create(made.deps, OWNER, WORKSPACE, kind, {"name": "a", "path": content})
    assets.create(made.deps, OWNER, WORKSPACE, "environment", {"name": "a", "image": "python:3.11"})
    made.running(name="a")
    made.deps.stopping.set()
    made.owner_token = made.as_().headers["Authorization"]
    made.halves = {half: site.as_(half).headers["Authorization"] for half in ("agent", "gateway")}
    made.grant_text = made.grant("cloud", "a")
    yield made
    made.close()


@warned
@pytest.mark.timeout(900)
def test_no_request_meets_a_defect(server):
    schema = schemathesis.openapi.from_asgi("/openapi.json", server.app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 80
    for operation in operations:
        _attack(server, operation)


def _attack(server, operation):
    names = itertools.cycle((WORKSPACE, WORKSPACE, "none"))

    @GENTLE
    @given(case=operation.as_strategy())
    def attacked(case):
        _aim(case, names)
        answer = case.call(headers=_credentials(server, operation.path))
        case.validate_response(answer, checks=(not_a_server_error,))
        if answer.status_code >= 400 and "/mlflow/" not in operation.path and case.method != "HEAD":
            assert set(answer.json()) == {"error", "request_id"}

    attacked()


def _aim(case, names):
    """Random names hit nothing, so some are put right."""
    given_names = case.path_parameters or {}
    if "workspace" in given_names:
        given_names["workspace"] = next(names)
    for key in ("name", "endpoint", "deployment"):
        if key in given_names and next(names) != "none":
            given_names[key] = "a"


def _credentials(server, path):
    for half, token in server.halves.items():
        if path.startswith(f"/{half}/"):
            return {"Authorization": token, **({"X-Ferry-Grant": server.grant_text} if half == "gateway" else {})}
    return {"Authorization": server.owner_token}
