"""Settle: eligible, happy, stale, contended, and a hook that cannot yet."""

from control_play import WORKSPACE
from ferryml.bootstrap.server import HOOKS
from ferryml.control.loops import settle
from ferryml.domain.errors import Conflict, Unavailable


def test_nothing_to_do(play):
    assert settle.tick(play.deps, HOOKS) == 0


def test_each_report_is_taken_up_once(play):
    play.site()
    name = play.running()
    play.reports("cloud", name, "Finalizing", 2)
    assert settle.tick(play.deps, HOOKS) == 1
    assert settle.tick(play.deps, HOOKS) == 0
    assert play.shown(name)["status"] == "Finalizing"


def test_an_older_report_changes_nothing(play):
    play.site()
    name = play.running()
    play.reports("cloud", name, "Finalizing", 3)
    play.reports("cloud", name, "Running", 2)
    settle.tick(play.deps, HOOKS)
    assert play.shown(name)["status"] == "Finalizing"


def test_kinds_without_a_hook_are_passed_over(play):
    play.site()
    name = play.running()
    play.reports("cloud", name, "Finalizing", 2)
    assert settle.tick(play.deps, {}) == 1
    assert play.shown(name)["status"] == "Running"


def test_what_cannot_be_taken_up_yet_waits_and_holds_up_nobody(play):
    play.site()
    first, second = play.running(), play.running(name="second")

    def hook(deps, site, report):
        if report.uid.endswith(first):
            raise Unavailable("Unavailable", "not yet")
        return HOOKS["Job"](deps, site, report)

    play.reports("cloud", first, "Finalizing", 2)
    play.reports("cloud", second, "Finalizing", 2)
    assert settle.tick(play.deps, {"Job": hook}) == 1
    assert play.shown(second)["status"] == "Finalizing"
    assert settle.tick(play.deps, HOOKS) == 1


def test_somebody_faster_means_another_turn(play):
    play.site()
    name = play.running()
    play.reports("cloud", name, "Finalizing", 2)

    def apply(now):
        raise Conflict("VersionConflict", "somebody was faster")

    assert settle.tick(play.deps, {"Job": lambda deps, site, report: apply}) == 0
    assert settle.tick(play.deps, HOOKS) == 1
    assert play.shown(name)["status"] == "Finalizing"
    with play.store.read() as tx:
        assert tx.report("cloud", f"job.{WORKSPACE}.{name}").version == 2
