import pytest

from ferryml.compile.environment import environment_order
from ferryml.compile.kubernetes.images import has_registry, needs_preparation, pull_secrets, user_image
from ferryml.domain.errors import Refused
from pod_things import a_cluster


def image(name, **changes):
    return user_image(environment_order(image=name), a_cluster(**changes))


def test_an_image_without_registry_gets_the_sites():
    assert image("a/b:1", image_registry="r.local:5000/") == "r.local:5000/a/b:1"
    assert image("ghcr.io/a/b:1", image_registry="r.local") == "ghcr.io/a/b:1"
    assert image("python:3.11") == "python:3.11"


def test_an_alias_comes_first():
    aliases = {"mcr.example/*": "mirror.local/*", "a:1": "r/a:2"}
    assert image("mcr.example/x/y:3", image_aliases_json=aliases) == "mirror.local/x/y:3"
    assert image("a:1", image_aliases_json=aliases, image_registry="q.local") == "q.local/r/a:2"


def test_no_image_is_the_sites_default():
    assert image("", default_image="base.local/x:1") == "base.local/x:1"


@pytest.mark.parametrize("name", ["a b", "-x", "a\nb", "x" * 600, "$(id)"])
def test_what_cannot_name_an_image_is_refused(name):
    with pytest.raises(Refused) as caught:
        image(name)
    assert caught.value.code == "BadReference"


def test_registries_are_told_as_container_engines_do():
    assert [has_registry(name) for name in ("a", "a/b", "a.b/c", "a:1/c", "localhost/c")] == [
        False, False, True, True, True,
    ]  # fmt: skip


def test_only_more_than_the_image_is_prepared():
    assert not needs_preparation(environment_order(image="x"))
    assert needs_preparation(environment_order(image="x", conda_file={"dependencies": ["python=3.11"]}))
    assert needs_preparation(environment_order(image="x", pip_requirements=["numpy"]))


def test_pull_secrets_are_named():
    assert pull_secrets(a_cluster(image_pull_secrets="a,b")) == {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}
    assert pull_secrets(a_cluster()) == {}
