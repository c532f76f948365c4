"""Why a job is where it is, in words."""

from control_play import OWNER, WORKSPACE, bound_job
from ferryml.control import computes, jobs, sites
from ferryml.control.loops import offline


def why(play, name):
    return jobs.why(play.deps, OWNER, WORKSPACE, name)


def test_a_site_that_never_came(play):
    sites.create(play.deps, OWNER, "later")
    computes.attach(play.deps, OWNER, WORKSPACE, {"type": "local", "name": "c1", "site": "later"})
    name = play.job()["name"]
    play.turns()
    told = why(play, name)
    assert "has not joined yet" in told["reason"]
    assert told["hints"] == ["Start the agent of site later."]


def test_a_site_that_fell_silent(play):
    play.site()
    name = play.job()["name"]
    play.turns()
    play.dice.passes(play.settings.site_offline_s + 1)
    offline.tick(play.deps)
    assert "has not been heard from" in why(play, name)["reason"]


def test_the_site_s_own_words_come_first(play):
    play.site()
    name = play.job()["name"]
    play.turns()
    play.reports("cloud", name, "Queued", reason="all 2 places are taken")
    play.turns()
    assert why(play, name)["reason"] == "all 2 places are taken"
    assert play.shown(name)["ferry"]["reason"] == "all 2 places are taken"


def test_logs_that_stay_are_announced(play):
    name = bound_job(play)
    assert any("logs stay in onprem" in hint for hint in why(play, name)["hints"])


def test_a_site_that_is_gone(play):
    play.site()
    name = play.job()["name"]
    with play.store.begin() as tx:
        tx.delete("site", "", "cloud")
    play.turns()
    assert "is gone" in why(play, name)["reason"]
    assert play.shown(name)["status"] == "NotStarted"
