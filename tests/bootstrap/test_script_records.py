"""One door for all scoring scripts of a machine: who calls is told by what is shown, in this life and the next."""

import json
import urllib.error
import urllib.request

import pytest

from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.script_records import ScriptRecords
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.orders import CollectionOrder, EnvironmentOrder, RevisionOrder
from ferryml.runner.modelrecords import PREFIX

UID = "endpoint.w.e"
ASKED = CollectionOrder(script={"model_inputs": 1.0})


def revision(name: str = "r" * 10, collect: CollectionOrder | None = ASKED) -> RevisionOrder:
    return RevisionOrder(
        revision=name, deployment="blue", flavor="script", environment=EnvironmentOrder(key="k"), collect=collect
    )


class Site:
    def __init__(self, folder) -> None:
        self.folder, self.taken, self.error = folder, [], None
        self.begin()

    def begin(self) -> None:
        self.scripts = ScriptRecords(self.folder, self.take, 0, SystemDice())
        self.scripts.start()

    def take(self, batch, data) -> None:
        if self.error:
            raise self.error
        self.taken.append((batch, data))

    def post(self, variables, collection="model_inputs") -> int:
        shown, _, host = variables["AZUREML_MDC_HOST"].rpartition("@")
        url = f"http://{host}:{variables['AZUREML_MDC_PORT']}/modeldata/log"
        door = urllib.request.HTTPPasswordMgrWithPriorAuth()
        door.add_password(None, url, *shown.split(":"), is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(door))
        asked = urllib.request.Request(
            url, b"[1]", {"Content-Type": "application/json", "ce-type": PREFIX + collection}
        )
        try:
            with opener.open(asked, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return int(error.code)

    def variables(self, name: str = "r" * 10) -> dict[str, str]:
        return self.scripts.variables(revision(name), self.folder / "x.json")


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path / "state")
    yield made
    made.scripts.stop()


def test_a_record_goes_to_the_gateway_as_its_revisions(site):
    site.scripts.serve(UID, revision())
    assert site.post(site.variables()) == 200
    site.scripts.stop()
    ((batch, data),) = site.taken
    assert (batch.uid, batch.deployment, batch.collection, batch.rolling) == (UID, "blue", "model_inputs", "hour")
    assert json.loads(data)["source"] == f"/endpoints/e/deployments/blue/revisions/{'r' * 10}"


def test_nobody_speaks_for_another(site):
    site.scripts.serve(UID, revision())
    site.scripts.serve("endpoint.w.other", revision("o" * 10))
    mine = site.variables()
    forged = {**mine, "AZUREML_MDC_HOST": mine["AZUREML_MDC_HOST"].replace("r" * 10, "o" * 10)}
    assert site.post(forged) == 401
    assert site.post(mine, "other") == 404


def test_what_runs_no_more_collects_no_more(site):
    site.scripts.serve(UID, revision())
    site.scripts.forget("r" * 10)
    assert site.post(site.variables()) == 401
    site.scripts.serve(UID, revision())
    site.scripts.serve(UID, revision(collect=None))
    assert site.post(site.variables()) == 401


def test_programs_find_the_door_of_the_next_life(site):
    site.scripts.serve(UID, revision())
    before = site.variables()
    site.scripts.stop()
    site.begin()
    site.scripts.serve(UID, revision())
    assert site.variables() == before
    assert site.post(before) == 200
    assert (site.folder / "collector.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("error", "dropped"), [(Unavailable("DiskFull", "full"), 0), (Refused("BadGrant", "no"), 1)])
def test_a_gateway_in_trouble_is_asked_again_or_not(site, error, dropped):
    site.scripts.serve(UID, revision())
    site.error = error
    assert site.post(site.variables()) == 200
    site.scripts.stop()
    assert site.scripts._records.dropped == dropped
