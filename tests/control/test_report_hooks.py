"""A tombstone that was carried out is dropped; a wish that was made anew is not."""

from control_play import OWNER
from ferryml.control import jobs
from ferryml.control.context import turn
from ferryml.control.report_hooks import gone
from ferryml.domain.link import Report
from ferryml.domain.statuses import GoneStatus


def test_only_tombstones_are_dropped(play):
    play.site()
    name = play.running()
    uid = f"job.team.{name}"
    told = Report(uid=uid, generation=1, version=9, status=GoneStatus(), at=play.dice.now())
    with turn(play.deps) as now:
        gone(play.deps, "cloud", told)(now)
    assert play.wishes("cloud").wishes[0].order is not None
    jobs.cancel(play.deps, OWNER, "team", name)
    play.reports("cloud", name, "Canceled", 5)
    play.turns()
    with turn(play.deps) as now:
        gone(play.deps, "cloud", told)(now)
        gone(play.deps, "cloud", told)(now)
    assert play.wishes("cloud").wishes == ()
