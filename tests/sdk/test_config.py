"""Where the server is and as whom."""

import os
import stat

import pytest

from ferryml.domain.errors import NotFound, Refused
from ferryml.sdk.config import DEFAULT_URL, Contexts, config_path, locate


@pytest.fixture
def environ(tmp_path):
    return {"FERRY_CONFIG": str(tmp_path / "config.yaml"), "HOME": str(tmp_path)}


def saved(environ):
    kept = Contexts.read(environ)
    kept.contexts = {"a": {"url": "http://a/", "token": "ta", "workspace": "wa", "ca_bundle": "/ca"}}
    kept.current = "a"
    kept.save()


def test_flags_then_environment_then_folder_then_context(environ, tmp_path):
    deep = tmp_path / "x" / "y"
    deep.mkdir(parents=True)
    assert locate(environ, deep).target.url == DEFAULT_URL
    saved(environ)
    found = locate(environ, deep)
    assert (found.target.url, found.target.token, found.workspace, str(found.target.ca_bundle)) == (
        "http://a", "ta", "wa", "/ca",
    )  # fmt: skip
    (tmp_path / ".ferry").mkdir()
    (tmp_path / ".ferry" / "url").write_text("http://local\n")
    (tmp_path / ".ferry" / "admin.token").write_text("tl\n")
    found = locate(environ, deep)
    assert (found.target.url, found.target.token, found.workspace) == ("http://local", "tl", "default")
    assert locate(environ, deep, context="a").target.url == "http://a"
    said = {**environ, "FERRY_URL": "http://env", "FERRY_TOKEN": "te", "FERRY_WORKSPACE": "we"}
    found = locate(said, deep)
    assert (found.target.url, found.target.token, found.workspace) == ("http://env", "te", "we")
    found = locate(said, deep, url="http://flag", token="tf", workspace="wf")
    assert (found.target.url, found.target.token, found.workspace) == ("http://flag", "tf", "wf")


def test_an_unknown_context_is_named(environ, tmp_path):
    with pytest.raises(NotFound, match="none"):
        locate({**environ, "FERRY_CONTEXT": "zz"}, tmp_path)


def test_tokens_are_this_users_only(environ):
    saved(environ)
    assert stat.S_IMODE(os.stat(config_path(environ)).st_mode) == 0o600


@pytest.mark.parametrize("text", ["[1]", "contexts: 1", "{", "contexts: {a: 1}"])
def test_a_damaged_file_is_refused_not_lost(environ, text):
    config_path(environ).write_text(text)
    with pytest.raises(Refused) as caught:
        Contexts.read(environ)
    assert caught.value.code == "BadYaml"
    assert config_path(environ).read_text() == text


def test_the_usual_places(tmp_path):
    assert config_path({"HOME": "/h"}).as_posix() == "/h/.config/ferry/config.yaml"
    assert config_path({"XDG_CONFIG_HOME": "/x"}).as_posix() == "/x/ferry/config.yaml"
