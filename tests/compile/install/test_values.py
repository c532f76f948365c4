"""Names of images as clusters pull them, and settings that values stand for."""

import pytest
from pydantic import ValidationError

from ferryml.compile.install import values as module
from ferryml.compile.install.server_values import FIXED_SERVER_SETTINGS, SECRET_SERVER_SETTINGS
from ferryml.compile.install.values import AgentValues, Images, image
from ferryml.settings import ClusterSettings, ServerSettings, SiteSettings


@pytest.mark.parametrize(
    ("images", "full"),
    [
        (Images(), "ferry-agent:0.1.0"),
        (Images(tag="2"), "ferry-agent:2"),
        (Images(registry="r.example/x"), "r.example/x/ferry-agent:0.1.0"),
        (Images(registry="r.example/x/", tag="2"), "r.example/x/ferry-agent:2"),
    ],
)
def test_an_images_full_name(images, full):
    assert image(images, images.agent, "0.1.0") == full


def test_settings_that_values_know_are_settings():
    assert set(module.FIXED_SITE_SETTINGS) | set(module.SECRET_SITE_SETTINGS) <= set(SiteSettings.model_fields)
    assert set(module.FIXED_CLUSTER_SETTINGS) <= set(ClusterSettings.model_fields)
    assert set(FIXED_SERVER_SETTINGS) | set(SECRET_SERVER_SETTINGS) <= set(ServerSettings.model_fields)


@pytest.mark.parametrize(
    "wrong",
    [{"namespaces": ["A"]}, {"agent": {"replicas": 9}}, {"purge": "perhaps"}, {"gateway": {"store": {"size": "much"}}}],
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(ValidationError):
        AgentValues.model_validate(wrong)
