"""Records reach the gateway as its routers', and are kept back for whatever time may mend."""

import httpx
import pytest

from ferryml.bootstrap.router_records import GatewayRecords
from ferryml.domain.collection import Batch
from ferryml.domain.errors import Refused, Unavailable
from ferryml.settings import RouterSettings

BATCH = Batch(uid="endpoint.w.e", deployment="blue", collection="request", partition="2026/03/04/05", name="r-1")


class Gateway:
    def __init__(self):
        self.requests, self.status = [], 200

    def __call__(self, request):
        if self.status == 0:
            raise httpx.ConnectError("refused")
        self.requests.append(request)
        error = {"error": {"code": "BadGrant", "message": "no"}}
        return httpx.Response(self.status, json={} if self.status == 200 else error)


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def records(tmp_path, gateway):
    token = tmp_path / "token"
    token.write_text("first\n")
    settings = RouterSettings(collect_url="https://gateway:8443/", collect_token_file=token)
    made = GatewayRecords(settings, httpx.MockTransport(gateway))
    yield made
    made.close()


def test_a_batch_is_posted_with_the_token_of_now(records, gateway, tmp_path):
    records(BATCH, b"{}\n")
    (tmp_path / "token").write_text("second")
    records(BATCH, b"{}\n")
    assert [one.headers["authorization"] for one in gateway.requests] == ["Bearer first", "Bearer second"]
    first = gateway.requests[0]
    assert (first.url.path, dict(first.url.params), first.content) == ("/v1/collected", BATCH.model_dump(), b"{}\n")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(0, Unavailable), (401, Unavailable), (503, Unavailable), (500, Unavailable), (403, Refused), (413, Refused)],
)  # fmt: skip
def test_what_time_may_mend_is_asked_again(records, gateway, status, kind):
    gateway.status = status
    with pytest.raises(kind):
        records(BATCH, b"")


def test_files_that_are_not_mounted_yet_are_waited_for(tmp_path):
    for more in ({"collect_token_file": tmp_path / "no"}, {"collect_ca_file": tmp_path / "no"}):
        with pytest.raises(Unavailable):
            GatewayRecords(RouterSettings(collect_url="https://g", **more))(BATCH, b"")
    (tmp_path / "ca").write_text("no certificate")
    with pytest.raises(Unavailable):
        GatewayRecords(RouterSettings(collect_url="https://g", collect_ca_file=tmp_path / "ca"))(BATCH, b"")
