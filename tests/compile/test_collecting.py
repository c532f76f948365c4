"""What azureml-ai-monitoring reads, and what the door knows of a revision."""

import json

from ferryml.compile.collecting import script_collections, script_variables, settings_file, told_to_the_door
from ferryml.domain.orders import CollectionOrder, EnvironmentOrder, RevisionOrder

ASKED = CollectionOrder(rolling="day", script={"Model_Inputs": 1.0, "drift": 0.25})
REVISION = RevisionOrder(
    revision="r" * 10, deployment="blue", flavor="script", environment=EnvironmentOrder(key="k"), collect=ASKED,
    model_name="model:m:3",
)  # fmt: skip


def test_only_what_a_script_makes_is_a_matter_of_its_program():
    assert script_collections(REVISION) is ASKED
    payloads = CollectionOrder(collections=("request",))
    for collect in (None, payloads):
        assert script_collections(REVISION.model_copy(update={"collect": collect})) is None


def test_settings_are_as_the_package_reads_them():
    made = json.loads(settings_file(ASKED))
    assert made["collections"] == {
        "drift": {"enabled": True, "sampleRatePercentage": 25.0},
        "model_inputs": {"enabled": True, "sampleRatePercentage": 100.0},
    }
    assert made["runMode"] == "cloud"


def test_the_door_is_reached_past_every_proxy():
    made = script_variables("/f.json", "r:s@127.0.0.1", 8471)
    assert made["AZUREML_MDC_PORT"] == "8471"
    assert made["NO_PROXY"] == made["no_proxy"] == "127.0.0.1,localhost"


def test_the_door_knows_what_events_say():
    told = told_to_the_door("endpoint.w.e", "e", REVISION, ASKED)
    assert (told["model_version"], told["partition"]) == ("3", "%Y/%m/%d")
    assert told["collections"] == ["Model_Inputs", "drift"]
