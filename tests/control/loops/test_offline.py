"""Offline: sites fall silent, their jobs say so, and come back with them."""

from control_play import OWNER
from ferryml.control import sites
from ferryml.control.loops import offline


def silence(play):
    play.dice.passes(play.settings.site_offline_s + 1)


def test_sites_that_speak_are_left_alone(play):
    play.site()
    assert offline.tick(play.deps) == 0


def test_running_jobs_of_a_silent_site_do_not_respond(play):
    play.site()
    name, waiting = play.running(), play.job()["name"]
    play.turns()
    silence(play)
    assert offline.tick(play.deps) == 2
    assert offline.tick(play.deps) == 0
    assert play.shown(name)["status"] == "NotResponding"
    assert play.shown(waiting)["status"] == "Queued"
    assert sites.show(play.deps, OWNER, "cloud")["state"] == "Offline"


def test_they_come_back_as_they_were(play):
    play.site()
    name = play.running()
    silence(play)
    offline.tick(play.deps)
    play.beat("cloud")
    assert offline.tick(play.deps) == 1
    assert play.shown(name)["status"] == "Running"


def test_news_from_the_site_come_before_memories(play):
    play.site()
    name = play.running()
    silence(play)
    offline.tick(play.deps)
    play.beat("cloud")
    play.reports("cloud", name, "Finalizing", 2)
    play.turns()
    offline.tick(play.deps)
    assert play.shown(name)["status"] == "Finalizing"


def test_a_heartbeat_in_between_wins(play, monkeypatch):
    play.site()
    play.running()
    silence(play)
    real, entered = play.store.begin, []

    def begin():
        if not entered:
            entered.append(1)
            play.beat("cloud")
        return real()

    monkeypatch.setattr(play.store, "begin", begin)
    assert offline.tick(play.deps) == 0
