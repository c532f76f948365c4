import subprocess
import sys
import venv

import pytest

from ferryml.runner.overlay import make_overlay


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("env") / "base"
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "shared_module.py").write_text("origin = 'base'")
    return folder


def run(overlay, code):
    done = subprocess.run([overlay / "bin" / "python", "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or done.stderr


def test_it_sees_the_base_and_hides_it_where_it_has_its_own(base, tmp_path):
    overlay = tmp_path / "o"
    assert make_overlay(str(overlay), str(base))
    assert make_overlay(str(overlay), str(base))
    assert run(overlay, "import shared_module, sys; print(shared_module.origin, sys.prefix)") == f"base {overlay}"
    site = next(overlay.glob("lib/python*/site-packages"))
    (site / "shared_module.py").write_text("origin = 'overlay'")
    assert run(overlay, "import shared_module; print(shared_module.origin)") == "overlay"


def test_pip_is_there_without_having_been_installed(base, tmp_path):
    make_overlay(str(tmp_path / "o"), str(base))
    said = subprocess.run([tmp_path / "o/bin/pip", "--version"], capture_output=True, text=True).stdout
    assert f"python {sys.version_info[0]}.{sys.version_info[1]}" in said


def test_what_is_no_environment_is_left_alone(tmp_path):
    assert not make_overlay(str(tmp_path / "o"), str(tmp_path / "nothing"))
    assert not (tmp_path / "o").exists()
