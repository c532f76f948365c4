import pytest

from ferryml.compile.kubernetes.cluster import Cluster, cluster_of
from ferryml.domain.errors import Refused
from ferryml.settings.cluster import ClusterSettings
from ferryml.settings.site import SiteSettings

KNOWN = {"gateway_url": "https://g", "ca": "PEM", "main_sh": "true"}
BY_AGENT = {"ca", "build_ca_pem", "main_sh", "prepare_sh", "kubernetes"}


def test_every_field_is_a_knob_or_known_to_the_agent_alone():
    knobs = SiteSettings.model_fields.keys() | ClusterSettings.model_fields.keys()
    assert {name for name in Cluster.model_fields if name not in knobs and f"{name}_json" not in knobs} == BY_AGENT


def test_defaults_are_those_of_the_settings():
    dumped = SiteSettings().model_dump(), ClusterSettings().model_dump()
    filled = cluster_of(*dumped, **KNOWN)
    own = Cluster(**KNOWN)
    assert filled.model_dump(exclude=BY_AGENT) == own.model_dump(exclude=BY_AGENT)


def test_lists_and_json_are_read_from_the_knobs():
    settings = ClusterSettings(
        image_pull_secrets="a, b", image_aliases_json='{"x": "y"}', workload_node_selector_json='{"pool": "ml"}',
        workload_tolerations_json='[{"key": "gpu", "operator": "Exists"}]',
    )  # fmt: skip
    cluster = cluster_of(settings.model_dump(), **KNOWN)
    assert cluster.image_pull_secrets == ("a", "b")
    assert (cluster.image_aliases, cluster.workload_node_selector) == ({"x": "y"}, {"pool": "ml"})
    assert cluster.workload_tolerations == ({"key": "gpu", "operator": "Exists"},)


@pytest.mark.parametrize("text", ["{", "[]x", '["a"]', '{"a": {"b": 1}}'])
def test_a_knob_that_cannot_be_read_is_named(text):
    with pytest.raises(Refused) as caught:
        cluster_of({"image_aliases_json": text}, **KNOWN)
    assert caught.value.code == "BadValue"
