import pytest

from ferryml.backends.local.uv import Uv, own_python
from ferryml.domain.errors import Refused
from ferryml.settings.site import SiteSettings

INDEX = "https://bob:pa55@index.example/simple"
OLD = """
  \u00d7 No solution found when resolving dependencies:
  \u2570\u2500\u25b6 Because nothing-such was not found in the package registry and you require
      nothing-such, we can conclude that your requirements are unsatisfiable.
"""
NEW = """warning: something else
error: No solution found when resolving dependencies
  cause: Because nothing-such was not found in the package registry
"""


@pytest.fixture
def uv(tmp_path):
    return Uv(SiteSettings(package_index=INDEX), tmp_path)


@pytest.mark.parametrize("said", [OLD, NEW])
def test_the_line_that_matters_is_found(uv, said):
    line = uv.essential(said)
    assert line.startswith("No solution found when resolving dependencies")
    assert "Because nothing-such was not found" in line
    assert "\n" not in line
    assert "warning" not in line


def test_silence_is_answered_in_words(uv):
    assert uv.essential("") == "uv ended without saying why"


def test_secrets_and_the_sites_index_are_hidden(uv):
    text = "failed: https://bob:pa55@index.example/simple/x/ and git+https://eve:t0p@host/r and http://ok/x"
    assert uv.redacted(text) == "failed: <package index> and git+https://***@host/r and http://ok/x"


def test_an_environment_that_does_not_exist_is_an_error(uv, tmp_path):
    with pytest.raises(Refused) as caught:
        uv.install(tmp_path / "absent", "six==1.16.0\n")
    assert caught.value.code == "EnvironmentFailed"


def test_the_sites_own_python_is_outside_of_its_environment(uv):
    version, path = own_python()
    assert version.count(".") == 2
    assert ".venv" not in path


def test_the_pythons_of_this_machine_are_listed(uv):
    assert own_python()[0] in uv.pythons()
