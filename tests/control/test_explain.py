"""Why a job is where it is, in words."""

from control_play import OWNER, WORKSPACE, bound_job
from ferryml.control import computes, jobs, sites
from ferryml.control.loops import offline
from ferryml.domain.statuses import Finding
from site_answers import NODE, a_cluster, attach, told


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


def test_findings_of_the_site_and_where_it_would_start_now(play):
    play.site()
    a_cluster(play)
    attach(play)
    name = play.job(compute="kc", resources={"instance_type": "small"})["name"]
    play.turns()
    told(play, "kube", nodes=[{**NODE, "free": {"cpu_millis": 0, "memory_bytes": 0}}])
    found = Finding(code="PodUnschedulable", cause="no room", evidence="0/1 nodes", fix="wait", check="a.cpu")
    play.reports("kube", name, "Queued", reason="no room", findings=(found,))
    play.turns()
    told_now = why(play, name)
    assert told_now["findings"] == [found.model_dump(mode="json")]
    assert told_now["alternatives"] == [
        {"compute": "c1", "site": "cloud", "instance_type": "", "words": "runs it as a process"}
    ]


def test_what_the_log_says_stays_with_a_bound_log(play):
    name = bound_job(play)
    quoting = Finding(code="UserCodeFailed", cause="boom", evidence="the job's log: secret", check="package.missing")
    plain = Finding(code="PodOutOfMemory", cause="memory", evidence="pod x", check="memory.oom")
    play.reports("onprem", name, "Failed", exit_code=1, findings=(quoting, plain))
    play.turns()
    assert [each["check"] for each in why(play, name)["findings"]] == ["memory.oom"]
