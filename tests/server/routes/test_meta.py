"""What anybody may ask."""


def test_versions_and_health(http):
    client = http.client()
    assert client.get("/api/v1/version").json()["protocol"] == 1
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["epoch"]


def test_who_i_am(http):
    told = http.as_("reader", "team").get("/api/v1/whoami").json()
    assert (told["role"], told["workspace"]) == ("reader", "team")
