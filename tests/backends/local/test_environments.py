import os
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from ferryml.backends.local.environments import READY, LocalEnvironments
from ferryml.compile.environment import environment_order, ingredients_hash, lock_answers, with_key
from ferryml.settings.site import SiteSettings

SIX = environment_order(pip_requirements=["six==1.16.0"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return LocalEnvironments(tmp_path_factory.mktemp("envs"), SiteSettings())


@pytest.fixture
def make(until):
    def run(environments, order, limit_s=90):
        environments.prepare(order)
        return until(
            lambda: environments.environment(order.key), lambda seen: seen.state in ("ready", "failed"), limit_s
        )

    return run


def says(python, code):
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_packages_are_installed_and_locked(site, make):
    assert site.environment(SIX.key).state == "absent"
    seen = make(site, SIX)
    assert seen.state == "ready", seen.message
    assert says(seen.python, "import six; print(six.__version__)") == "1.16.0"
    assert "six==1.16.0" in seen.lock
    assert "--hash=sha256:" in seen.lock
    assert "://" not in seen.lock
    assert lock_answers(seen.lock, SIX)


def test_the_lock_leads_to_the_same_environment(site, make):
    first = make(site, SIX)
    locked = with_key(SIX.model_copy(update={"lock": first.lock}))
    assert locked.key != SIX.key
    second = make(site, locked)
    assert (second.python, second.lock) == (first.python, first.lock)


def test_another_site_installs_exactly_the_lock(site, make, tmp_path):
    order = environment_order(pip_requirements=["six"])
    lock = make(site, SIX).lock.replace(ingredients_hash(SIX), ingredients_hash(order))
    other = LocalEnvironments(tmp_path, SiteSettings())
    seen = make(other, with_key(order.model_copy(update={"lock": lock})))
    assert says(seen.python, "import six; print(six.__version__)") == "1.16.0"
    assert seen.lock == lock


def test_a_lock_whose_bytes_were_altered_is_refused(site, make, tmp_path):
    lock = "six==1.15.0 --hash=sha256:" + "0" * 64
    seen = make(site, with_key(environment_order(pip_requirements=["six"]).model_copy(update={"lock": lock})))
    assert (seen.state, seen.code) == ("failed", "EnvironmentFailed")
    assert "six" in seen.message


def test_it_is_there_after_a_restart_and_nothing_is_made_twice(site, make):
    first = make(site, SIX)
    stamp = os.stat(Path(first.python).parents[1] / READY).st_mtime_ns
    later = LocalEnvironments(site.root, SiteSettings())
    assert later.environment(SIX.key) == first
    later.prepare(SIX)
    assert os.stat(Path(first.python).parents[1] / READY).st_mtime_ns == stamp


def test_a_half_made_environment_is_made_anew(site, make, tmp_path):
    mine = LocalEnvironments(tmp_path, SiteSettings())
    first = make(mine, SIX)
    (Path(first.python).parents[1] / READY).unlink()
    later = LocalEnvironments(tmp_path, SiteSettings())
    assert later.environment(SIX.key).state == "absent"
    assert make(later, SIX).python == first.python


def test_a_package_that_does_not_exist_is_named(site, make):
    seen = make(site, environment_order(pip_requirements=["six", "ferryml-no-such-package-xyz==1"]))
    assert (seen.state, seen.code) == ("failed", "EnvironmentFailed")
    assert "ferryml-no-such-package-xyz" in seen.message
    assert "://" not in seen.message


def test_conda_packages_without_counterpart_are_named(site, make):
    seen = make(site, environment_order(conda_file={"dependencies": ["nodejs", "six"]}))
    assert seen.state == "failed"
    assert "nodejs" in seen.message


def test_a_python_that_is_not_here_is_refused_with_the_fix(site, make):
    seen = make(site, environment_order(conda_file={"dependencies": ["python=3.99"]}))
    assert seen.state == "failed"
    assert "python 3.99 is not on this site" in seen.message
    assert "nearest" in seen.message


def test_nearest_takes_another_python_and_says_so(make, tmp_path):
    site = LocalEnvironments(tmp_path, SiteSettings(python="nearest"))
    seen = make(site, environment_order(conda_file={"dependencies": ["python=3.99"]}))
    assert seen.state == "ready", seen.message
    assert "nearest" in seen.notes[0]


def test_a_dead_index_is_named_without_its_secrets(make, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    settings = SiteSettings(package_index="http://user:sesame@127.0.0.1:9/simple", prepare_timeout_s=60)
    seen = make(LocalEnvironments(tmp_path, settings), environment_order(pip_requirements=["ferryml-no-such-thing"]))
    assert seen.state == "failed"
    assert "sesame" not in seen.message
    assert "<package index>" in seen.message


def test_preparing_has_a_limit(make, tmp_path):
    settings = SiteSettings(prepare_timeout_s=0.001)
    seen = make(LocalEnvironments(tmp_path, settings), SIX)
    assert "took longer" in seen.message


def test_many_ask_for_one_and_it_is_made_once(make, tmp_path, until):
    site = LocalEnvironments(tmp_path, SiteSettings(parallel_preparations=4))
    orders = [
        environment_order(name=f"environment:e:{n}", image=f"i{n}", pip_requirements=["six==1.16.0"]) for n in range(4)
    ]
    threads = [threading.Thread(target=site.prepare, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pythons = {make(site, order).python for order in orders}
    assert len(pythons) == 1


def test_the_least_recently_used_go_first_and_never_what_is_in_use(make, tmp_path):
    site, other = (LocalEnvironments(tmp_path / name, SiteSettings()) for name in ("site", "other"))
    newer, older, alike = make(site, environment_order()), make(site, SIX), make(other, SIX)
    for age, seen in ((200, newer), (100, older)):
        os.utime(Path(seen.python).parents[1] / READY, (age, age))
    with running_in(alike):  # of the same packages, so its folder has the same name
        assert site.prune(keep=1) == 1
    assert site.environment(environment_order().key).state == "ready"
    assert site.environment(SIX.key).state == "absent"
    with running_in(newer):
        assert site.prune(keep=0) == 0
    assert site.prune(keep=0) == 1


@contextmanager
def running_in(environment):
    """A program of this environment, for the block."""
    argv = [environment.python, "-c", "print(1, flush=True); input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        yield
        program.communicate(b"\n")


def test_options_of_the_requirements_are_kept_out_of_the_lock(make, tmp_path):
    site = LocalEnvironments(tmp_path, SiteSettings())
    (tmp_path / "wheels").mkdir()
    seen = make(site, environment_order(pip_requirements=[f"--find-links {tmp_path}/wheels", "six==1.16.0"]))
    assert seen.state == "ready", seen.message
    assert "wheels" not in seen.lock


def test_being_used_makes_it_young(make, tmp_path):
    site = LocalEnvironments(tmp_path, SiteSettings())
    ready = Path(make(site, environment_order()).python).parents[1] / READY
    os.utime(ready, (100, 100))
    site.used(environment_order().key)
    assert ready.stat().st_mtime > 100
