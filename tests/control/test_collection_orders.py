"""Which records a deployment may ask for, and what its site is told of them."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import datastores
from ferryml.control.collection_orders import check_flavor, collection_order, is_declared, places, wants_new_revision
from ferryml.domain.errors import Refused
from ferryml.domain.orders import Residency
from ferryml.domain.spec.deployment import DataCollector

NOWHERE = Residency()
ON = {"enabled": "true"}
PLACED = {**ON, "data": {"path": "azureml://datastores/a/paths/b"}}


def asked(collections, **fields) -> DataCollector:
    return DataCollector.model_validate({"collections": collections, **fields})


def test_collections_of_routers_and_of_the_script_are_told_apart():
    given = asked(
        {"request": ON, "model_inputs": {**ON, "sampling_rate": 0.1}, "model_outputs": ON, "off": {}}, sampling_rate=0.5
    )
    made = collection_order(given)
    assert (made.collections, made.sampling_rate) == (("request",), 0.5)
    assert made.script == {"model_inputs": 0.1, "model_outputs": 0.5}


@pytest.mark.parametrize("given", [None, asked({}), asked({"model_inputs": {"enabled": "false"}})])
def test_nothing_enabled_is_nothing(given):
    assert collection_order(given) is None


@pytest.mark.parametrize(
    ("collections", "code", "words"),
    [
        ({"a b": ON}, "BadName", "a b"),
        ({"../x": ON}, "BadName", "letters"),
        ({"Inputs": ON, "inputs": ON}, "BadName", "capitals"),
        ({"Request": ON}, "BadName", "capitals"),
        ({"request": {**ON, "sampling_rate": 0.1}}, "BadValue", "together"),
        ({f"c{number}": ON for number in range(21)}, "LimitExceeded", "20"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(collections, code, words):
    with pytest.raises(Refused) as caught:
        collection_order(asked(collections))
    assert caught.value.code == code
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_without_a_script_nothing_of_its_own_is_collected():
    order = collection_order(asked({"model_inputs": ON}))
    for flavor in ("triton", "mlflow"):
        with pytest.raises(Refused, match="model_inputs"):
            check_flavor(order, flavor)
        check_flavor(collection_order(asked({"request": ON})), flavor)
    for flavor in ("script", "custom"):
        check_flavor(order, flavor)


@pytest.mark.parametrize(
    ("old", "new", "anew"),
    [
        (None, asked({"request": ON}), False),
        (asked({"request": ON}), asked({"response": ON}, rolling_rate="day"), False),
        (None, asked({"a": ON}), True),
        (asked({"a": ON}), None, True),
        (asked({"a": ON}), asked({"a": ON, "request": ON}), False),
        (asked({"a": ON}), asked({"a": ON}, rolling_rate="day"), True),
        (asked({"a": ON}), asked({"a": ON}, sampling_rate=0.5), True),
        (asked({"request": ON}), asked({"request": PLACED}), True),
        (asked({"request": PLACED}), asked({"request": PLACED, "response": ON}), False),
    ],
)
def test_programs_read_at_their_start_what_to_collect(old, new, anew):
    assert wants_new_revision(old, new) is anew


def test_names_are_known_while_the_deployment_says_them():
    spec = {"data_collector": {"collections": {"a": {"enabled": False}}}}
    assert [is_declared(spec, name) for name in ("a", "b", "request", "")] == [True, False, True, False]
    assert not is_declared({"data_collector": None}, "a")


def placed(play, path="azureml://datastores/shelf/paths/records", residency=NOWHERE, backend="local", **store):
    made = {"name": "shelf", "type": "local", "root": "/data", "site": "cloud", **store}
    datastores.create(play.deps, OWNER, WORKSPACE, {key: value for key, value in made.items() if value})
    given = asked({"request": {**ON, "data": {"path": path}}, "response": ON})
    return places(play.deps, WORKSPACE, given, residency, backend)


def test_a_path_is_a_place_of_the_site(play):
    play.site(zone="eu")
    found, only = placed(play, residency=Residency(zones=("eu",), release=()))
    assert list(found) == ["request"]
    assert (found["request"].root, found["request"].path) == ("/data", "records")
    assert only == {"collection request": "cloud"}


S3 = {"type": "s3", "bucket": "b", "root": "", "site": ""}
BOUND = Residency(zones=("onprem",), release=("models",))


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"path": "https://x/y"}, "BadReference", "datastore path"),
        ({"backend": "kubernetes"}, "NotSupported", "type local"),
        (S3, "NotSupported", "type s3"),
        ({"residency": BOUND}, "ResidencyViolation", "in zone eu"),
        ({**S3, "backend": "kubernetes", "residency": BOUND}, "ResidencyViolation", "in no zone"),
    ],
)
def test_places_that_the_site_cannot_write_to_or_must_not_are_refused(play, fields, code, words):
    play.site(zone="eu")
    with pytest.raises(Refused) as caught:
        placed(play, **fields)
    assert caught.value.code == code
    assert words in caught.value.message


def test_what_is_released_may_leave(play):
    play.site(zone="eu")
    bound = Residency(zones=("onprem",), release=("artifacts",))
    assert placed(play, residency=bound, backend="kubernetes", **S3)[0]["request"].root == "s3://b"
