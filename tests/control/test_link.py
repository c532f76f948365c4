"""The link's server end: cursors, epochs, orphans, and sites that reach for each other's work."""

import threading

from control_play import OWNER, WORKSPACE
from ferryml.control import link, sites
from ferryml.domain.link import Report
from ferryml.domain.statuses import GoneStatus, JobStatus


def report(play, uid, version=1, status=None):
    return Report(
        uid=uid, generation=1, version=version, status=status or JobStatus(phase="Running"), at=play.dice.now()
    )


def test_wishes_come_once_per_cursor(play):
    play.site()
    first = play.job()["name"]
    play.turns()
    answer = play.wishes("cloud")
    assert [wish.uid for wish in answer.wishes] == [f"job.{WORKSPACE}.{first}"]
    assert play.wishes("cloud", after=answer.cursor).wishes == ()
    assert play.wishes("cloud", after=answer.cursor).cursor == answer.cursor


def test_another_epoch_means_relist(play):
    play.site()
    assert link.wishes(play.deps, "cloud", 7, "another-epoch", 5).relist
    with play.store.begin() as tx:
        epoch = tx.epoch()
    assert not link.wishes(play.deps, "cloud", 0, epoch, 0).relist


def test_a_wait_ends_when_something_is_wished(play):
    play.site()
    found = []
    waiting = threading.Thread(target=lambda: found.append(link.wishes(play.deps, "cloud", 0, "", 20)))
    waiting.start()
    play.job()
    play.turns()
    waiting.join(10)
    assert len(found[0].wishes) == 1


def test_a_wait_ends_when_the_server_does(play):
    play.site()
    play.deps.stopping.set()
    assert link.wishes(play.deps, "cloud", 0, "", 20).wishes == ()


def test_unknown_work_is_listed_and_kept(play):
    play.site()
    uid = f"job.{WORKSPACE}.lost"
    answer = link.reports(play.deps, "cloud", "", [report(play, uid)])
    assert (answer.accepted, answer.unknown) == ((), (uid,))
    shown = sites.show(play.deps, OWNER, "cloud")
    assert shown["orphans"][uid]["phase"] == "Running"


def test_a_site_does_not_report_for_another(play):
    play.site()
    play.site("edge", "edge", "c2")
    name = play.job()["name"]
    play.turns()
    answer = link.reports(play.deps, "edge", "", [report(play, f"job.{WORKSPACE}.{name}")])
    assert answer.unknown
    play.turns()
    assert play.shown(name)["status"] == "Queued"


def test_reports_are_states_and_older_ones_change_nothing(play):
    play.site()
    name = play.running()
    uid = f"job.{WORKSPACE}.{name}"
    done = report(play, uid, 5, JobStatus(phase="Finalizing"))
    assert link.reports(play.deps, "cloud", "", [done, report(play, uid, 4)]).accepted == ((uid, 1, 5), (uid, 1, 4))
    play.turns()
    assert play.shown(name)["status"] == "Finalizing"


def test_gone_drops_the_wish(play):
    play.site()
    name = play.running()
    uid = f"job.{WORKSPACE}.{name}"
    play.reports("cloud", name, "Completed", 2)
    play.turns()
    assert play.wishes("cloud").wishes[0].order is None
    link.reports(play.deps, "cloud", "", [report(play, uid, 9, GoneStatus())])
    play.turns()
    assert play.wishes("cloud").wishes == ()


def test_a_uid_leads_to_its_row_only(play):
    with play.store.read() as tx:
        for uid in ("", "nonsense", "job.team.none", "endpoint.team.none", "feedback.none", "settings.none"):
            assert link.row_of(tx, uid, "cloud") is None


def test_orphans_are_forgotten_when_they_are_known_again(play):
    play.site()
    with play.store.begin() as tx:
        made = link.Turn(tx)
        sites.orphan(made, "cloud", {"job.team.x": {"phase": "Running"}})
    with play.store.begin() as tx:
        link.forget_orphans(link.Turn(tx), "cloud", ["job.team.x", "job.team.y"])
    assert sites.show(play.deps, OWNER, "cloud")["orphans"] == {}


def test_what_was_said_of_another_epoch_is_not_taken(play):
    """After a restore it would outrank whatever the site says of the wishes that there are."""
    uid = f"job.{WORKSPACE}.{play.running()}" if play.site() else ""
    answer = link.reports(play.deps, "cloud", "before-the-restore", [report(play, uid, 99)])
    assert (answer.accepted, answer.unknown) == ((), ())
    with play.store.read() as tx:
        assert answer.epoch == tx.epoch()
        assert tx.report("cloud", uid).version != 99
