"""Extras and settings of Ferry's programs."""

import os
import subprocess
import sys

import pytest

from ferryml.cli import programs
from ferryml.domain.errors import Refused
from ferryml.settings import ServerSettings


def test_what_is_not_installed_is_named_with_the_command(monkeypatch):
    with pytest.raises(Refused) as caught:
        programs.program("no_such_library")
    assert (caught.value.code, caught.value.hint) == ("MissingExtra", "pip install 'ferryml[server,agent]'")
    with pytest.raises(ModuleNotFoundError):
        programs.program("ferryml.no_such_module")
    programs.check_extras()
    monkeypatch.setattr(programs, "NEEDED", ("no_such_library",))
    with pytest.raises(Refused, match="no_such_library"):
        programs.check_extras()


def test_what_programs_load_is_kept_from_the_garbage_collector():
    code = (
        "import gc; from ferryml.cli.programs import program; program('ferryml.bootstrap.site');"
        "print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    argv = [sys.executable, "-c", code]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout == "True True\n"


def test_options_before_environment_before_file(monkeypatch, tmp_path):
    file = tmp_path / "ferry.toml"
    file.write_text("[server]\nport = 1\nhost = '::1'\npublic_url = 'http://f'\n")
    monkeypatch.setenv("FERRY_SERVER_PORT", "2")
    monkeypatch.setenv("FERRY_SERVER_HOST", "127.0.0.2")
    made = programs.settings(ServerSettings, {"port": 3, "host": None}, file, {"public_url": "kept", "page_size": 9})
    assert (made.port, made.host, made.public_url, made.page_size) == (3, "127.0.0.2", "http://f", 9)
    monkeypatch.setenv("FERRY_SETTINGS", str(tmp_path / "absent.toml"))
    with pytest.raises(Refused, match="absent"):
        programs.settings(ServerSettings, {})


@pytest.mark.parametrize("text", ["x", "server = 1"])
def test_a_bad_file_is_refused(tmp_path, text):
    file = tmp_path / "ferry.toml"
    file.write_text(text)
    with pytest.raises(Refused) as caught:
        programs.settings(ServerSettings, {}, file)
    assert caught.value.code == "BadValue"


@pytest.mark.parametrize(("said", "level"), [("debug", "DEBUG"), ("ERROR", "ERROR"), ("", "INFO"), ("chatty", "INFO")])
def test_the_level_of_logs(said, level):
    code = (
        "import logging; from ferryml.cli.programs import log_to_stderr; log_to_stderr();"
        "print(logging.getLevelName(logging.getLogger('ferryml').getEffectiveLevel()))"
    )
    environ = {**os.environ, "FERRY_LOG_LEVEL": said}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == level
