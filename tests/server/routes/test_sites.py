"""/sites over HTTP."""

from http_play import fault


def test_a_site_s_whole_life(http):
    owner = http.as_()
    made = owner.post("/api/v1/sites", json={"name": "edge", "zone": "plant"})
    assert made.status_code == 201
    assert made.json()["command"].startswith("ferry agent run")
    assert fault(owner.post("/api/v1/sites", json={"name": "edge"})) == (409, "AlreadyExists")
    assert owner.get("/api/v1/sites/edge").json()["zone"] == "plant"
    assert [item["name"] for item in owner.get("/api/v1/sites").json()["items"]] == ["edge"]
    changed = owner.patch("/api/v1/sites/edge", json={"description": "d"})
    assert changed.json()["description"] == "d"
    assert owner.post("/api/v1/sites/edge/token").json()["join_token"] != made.json()["join_token"]
    assert owner.delete("/api/v1/sites/edge").status_code == 204
    assert fault(owner.get("/api/v1/sites/edge")) == (404, "NotFound")


def test_bodies_are_checked(http):
    owner = http.as_()
    for body in ({}, {"name": "edge", "zon": "x"}, {"name": "a\0"}, {"name": "edge", "settings": {"k": "\0"}}):
        assert owner.post("/api/v1/sites", json=body).status_code == 400
    assert fault(owner.post("/api/v1/sites", json={"name": "Not Allowed"})) == (400, "BadName")


def test_doctor_and_instance_types(http):
    http.joined()
    owner = http.as_()
    asked = owner.post("/api/v1/sites/cloud/doctor")
    assert (asked.status_code, asked.json()) == (202, {"asked": ""})
    found = owner.get("/api/v1/sites/cloud/doctor").json()
    assert (found["result"], found["answered"]) == ("ok", True)
    assert owner.get("/api/v1/sites/cloud/instance-types").json()["items"][0]["name"] == "defaultinstancetype"
    assert fault(http.as_("reader").post("/api/v1/sites/cloud/doctor"))[0] == 403
