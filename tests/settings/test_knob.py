"""Every setting carries what docs/settings.md needs."""

import pytest

from ferryml.settings import RouterSettings, ServerSettings, SiteSettings

MODELS = [ServerSettings, SiteSettings, RouterSettings]


@pytest.mark.parametrize("model", MODELS)
def test_every_field_has_a_knob_with_a_reason(model):
    knobs = model.knobs()
    assert set(knobs) == set(model.model_fields)
    assert all(knob.why.endswith(".") for knob in knobs.values())


@pytest.mark.parametrize("model", MODELS)
def test_what_counts_says_its_unit(model):
    silent = [
        name
        for name, field in model.model_fields.items()
        if field.annotation in (int, float) and not model.knobs()[name].unit and not name.endswith("port")
    ]
    assert silent == []


@pytest.mark.parametrize("model", MODELS)
def test_a_secret_is_not_printed(model):
    for name, knob in model.knobs().items():
        assert model.model_fields[name].repr is not knob.secret


def test_settings_are_frozen_and_strict():
    with pytest.raises(ValueError, match="frozen"):
        ServerSettings().port = 1
    with pytest.raises(ValueError, match="Extra"):
        ServerSettings(prot=1)


def test_environment_names_carry_the_section():
    assert SiteSettings.environment_name("min_free_disk_bytes") == "FERRY_SITE_MIN_FREE_DISK_BYTES"
