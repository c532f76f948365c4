from __future__ import annotations

import pytest

from ferryml.compile.environment import environment_order, lock_text, with_key
from ferryml.domain.errors import Conflict, Forbidden, NotFound
from ferryml.gateway.environments import Environments, EnvironmentSaid
from ferryml.gateway.journal import Caller
from ferryml.gateway.pulse import Pulse
from gateway_play import PlayPlace

ORDER = environment_order(image="i", pip_requirements=["a"])
LOCK = lock_text(ORDER, "3.11", "a==1")


@pytest.fixture
def environments(gateway: PlayPlace) -> Environments:
    return Environments(gateway.db, gateway.store, Pulse(1))


def maker(key: str = ORDER.key, kind: str = "preparation") -> Caller:
    return Caller(f"environment.{key}", 1, "w", "", kind=kind)


def said(gateway: PlayPlace, **more: object) -> EnvironmentSaid:
    digest, _ = gateway.store.put([b"archive"])
    return EnvironmentSaid.model_validate({"digest": digest, "lock": LOCK, **more})


def test_what_was_made_is_found_by_its_key(environments: Environments, gateway: PlayPlace) -> None:
    environments.take(maker(), said(gateway, python="/p", notes=["n"]))
    found = environments.get(ORDER.key)
    assert (found["size"], found["lock"], found["python"], found["notes"]) == (7, LOCK, "/p", ["n"])
    assert environments.has(found["digest"])
    with pytest.raises(NotFound):
        environments.get("other")


def test_it_is_found_under_its_lock_too(environments: Environments, gateway: PlayPlace) -> None:
    environments.take(maker(), said(gateway, order=ORDER))
    locked = with_key(ORDER.model_copy(update={"lock": LOCK})).key
    assert locked != ORDER.key
    assert environments.get(locked)["digest"] == environments.get(ORDER.key)["digest"]


def test_nobody_speaks_for_another_environment(environments: Environments, gateway: PlayPlace) -> None:
    """The order that a pod says counts only if it is the one that its own key was made from."""
    victim = environment_order(image="other", pip_requirements=["a"])
    environments.take(maker(), said(gateway, order=victim))
    for key in (victim.key, with_key(victim.model_copy(update={"lock": LOCK})).key):
        with pytest.raises(NotFound):
            environments.get(key)


def test_only_preparations_hand_over(environments: Environments, gateway: PlayPlace) -> None:
    for caller in (maker(kind="job"), Caller("job.w.j", 1, "w", "", kind="preparation")):
        with pytest.raises(Forbidden):
            environments.take(caller, said(gateway))
    with pytest.raises(Conflict):
        environments.take(maker(), said(gateway).model_copy(update={"digest": "sha256:" + "a" * 64}))


def test_an_archive_that_was_trimmed_is_made_anew(environments: Environments, gateway: PlayPlace) -> None:
    environments.take(maker(), said(gateway))
    gateway.store.trim(0, ())
    with pytest.raises(NotFound):
        environments.get(ORDER.key)


def test_images_are_remembered_by_key(environments: Environments) -> None:
    assert environments.image("k") == ""
    environments.keep_image("k", "r/a@sha256:1")
    environments.keep_image("k", "r/a@sha256:2")
    assert environments.image("k") == "r/a@sha256:2"
