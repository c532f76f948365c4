"""Settings come from environment, file and defaults, in that order, and misuse is loud."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.settings import RouterSettings, ServerSettings, SiteSettings, load


def refusal(model, environ=None, file=None, code="BadValue"):
    with pytest.raises(Refused) as caught:
        load(model, environ or {}, file)
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value.message


def test_nothing_said_gives_the_defaults():
    assert load(ServerSettings, {}) == ServerSettings()
    assert load(SiteSettings, {}).accept_zone_bound is False


def test_environment_wins_over_file_and_file_over_default():
    file = {"server": {"port": 9000, "lease_s": 30}, "site": {"name": "elsewhere"}}
    settings = load(ServerSettings, {"FERRY_SERVER_PORT": "9001", "HOME": "/root"}, file)
    assert (settings.port, settings.lease_s, settings.host) == (9001, 30, "127.0.0.1")


def test_sections_do_not_mix():
    environ = {"FERRY_ROUTER_MAX_CONNECTIONS": "5", "FERRY_SITE_NAME": "onprem", "FERRY_URL": "http://x"}
    assert load(RouterSettings, environ).max_connections == 5
    assert load(SiteSettings, environ).name == "onprem"


def test_an_unknown_variable_names_the_nearest_one():
    assert "did you mean FERRY_SERVER_PORT?" in refusal(ServerSettings, {"FERRY_SERVER_PROT": "1"}, code="UnknownField")


def test_an_unknown_key_of_the_file_names_the_nearest_one():
    assert "did you mean site.zone?" in refusal(SiteSettings, file={"site": {"zonne": "eu"}}, code="UnknownField")


def test_a_section_that_is_no_mapping_is_refused():
    assert "`site`" in refusal(SiteSettings, file={"site": 3})


def test_a_wrong_value_is_named_by_where_it_was_set():
    assert "FERRY_SERVER_PORT" in refusal(ServerSettings, {"FERRY_SERVER_PORT": "80000"})
    assert "server.port" in refusal(ServerSettings, file={"server": {"port": "many"}})


def test_a_secret_never_appears_in_an_error():
    message = refusal(
        ServerSettings, {"FERRY_SERVER_DATABASE_URL": "postgresql://u:hunter2@h/db", "FERRY_SERVER_REPLICAS": "2"}
    )
    assert "hunter2" not in message


def test_an_empty_path_switches_off():
    settings = load(SiteSettings, {"FERRY_SITE_CA_BUNDLE": ""}, {"site": {"ca_bundle": "ca.pem"}})
    assert settings.ca_bundle is None
