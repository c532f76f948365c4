import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ferryml
from ferryml.runner.shell import write_shell

MAIN = Path(ferryml.__file__).parent / "runner" / "main.sh"
SHELLS = {
    name: argv
    for name, argv in (("dash", ["dash"]), ("bash", ["bash", "--posix"]), ("busybox", ["busybox", "sh"]))
    if shutil.which(argv[0])
}


class Place:
    """A pod's folder in which main.sh runs; outside of a container it signals only what it started."""

    def __init__(self, folder: Path, shell: list[str]) -> None:
        self.folder, self.shell = folder / "job", shell
        self.started: list[subprocess.Popen] = []
        (self.folder / "code").mkdir(parents=True)
        (self.folder / "outputs").mkdir()

    def start(self, command: str, index: int = 0, prefix: tuple[str, ...] = (), **changes):
        plan = {
            "command": command, "env": {}, "timeout_s": None, "timeout_slack_s": 0, "upload_patience_s": 30,
            "grace_s": 1, **changes,
        }  # fmt: skip
        write_shell(plan, str(self.folder), index)
        env = {"PATH": os.environ["PATH"], "FERRY_JOB": str(self.folder), "HOME": "/nowhere"}
        with open(self.folder / "container.log", "wb") as log:
            process = subprocess.Popen(
                [*prefix, *self.shell, MAIN], env=env, start_new_session=True, stdout=log, stderr=log
            )
        self.started.append(process)
        return process

    def run(self, command: str, *arguments, **changes):
        """Exit code, and what the `exit` file says."""
        (self.folder / "collected").touch()
        code = self.start(command, *arguments, **changes).wait(20)
        return code, (self.folder / "exit").read_text()

    def close(self) -> None:
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)

    def log(self, name: str = "std_log") -> str:
        return (self.folder / "user_logs" / f"{name}.txt").read_text()

    def wait_for(self, name: str) -> None:
        until = time.monotonic() + 10
        while not (self.folder / name).exists():
            assert time.monotonic() < until, f"{name} did not come"
            time.sleep(0.01)


@pytest.fixture(params=SHELLS)
def place(request, tmp_path):
    place = Place(tmp_path, SHELLS[request.param])
    yield place
    place.close()


def test_what_the_program_says_and_how_it_ends_is_kept(place):
    assert place.run("echo out; echo err >&2; exit 3") == (3, "3 rank 0\n")
    assert place.log() == "out\nerr\n"
    assert (place.folder / "started").exists()


def test_success_is_plain(place):
    assert place.run("true") == (0, "0 \n")


def test_a_command_that_does_not_exist_is_127(place):
    assert place.run("no-such-program")[0] == 127
    assert "no-such-program" in place.log()


def test_a_command_may_be_long_and_of_many_lines(place):
    text = "x" * 300_000
    assert place.run(f"cat > long <<'END'\n{text}\nEND\n[ $(wc -c < long) -eq 300001 ]") == (0, "0 \n")


def test_variables_arrive_as_they_were_meant(place):
    env = {
        "A": "it's $HOME `id` \\ \"q\"\nline two", "my.name-x": "odd one", "job": "mine", "number": "7", "work": "w",
        "shell": "s",
    }  # fmt: skip
    assert place.run('printf "%s|%s|%s|%s|" "$A" "$job" "$number" "$work"; env | grep "^my.name-x="', env=env)[0] == 0
    assert place.log() == f"{env['A']}|mine|7|w|my.name-x=odd one\n"


def test_the_environment_stands_before_the_images_programs(place):
    assert place.run("echo $PATH", path=["/ferry/env/bin"])[0] == 0
    assert place.log() == f"/ferry/env/bin:{os.environ['PATH']}\n"


def test_a_home_that_cannot_be_written_is_replaced(place):
    assert place.run('touch "$HOME/x" && echo "$HOME"')[0] == 0
    assert place.log() == f"{place.folder}/home\n"


def test_the_working_directory_is_the_code_and_another_when_asked(place):
    assert place.run("pwd", work="/usr")[0] == 0
    assert place.log() == "/usr\n"
    assert place.run("pwd", work=str(place.folder / "gone"))[0] == 126


def test_every_process_knows_its_rank_and_has_a_log(place):
    assert place.run("echo $RANK $LOCAL_RANK $NODE_RANK", 2, ranks=2, rank_env=[{}, {}, {"NODE_RANK": "2"}])[0] == 0
    assert (place.log("std_log_process_4"), place.log("std_log_process_5")) == ("4 0 2\n", "5 1 2\n")


def test_the_first_failure_ends_the_others(place):
    command = 'if [ "$RANK" = 1 ]; then exit 9; fi; exec sleep 30'
    assert place.run(command, ranks=3) == (9, "9 rank 1\n")


def test_an_order_to_end_reaches_the_program(place):
    (place.folder / "collected").touch()
    process = place.start("trap 'echo bye; exit 5' TERM; echo ready; touch ../ready; while :; do sleep 0.05; done")
    place.wait_for("ready")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 5
    assert (place.log(), (place.folder / "exit").read_text()) == ("ready\nbye\n", "5 term\n")


def test_a_program_that_does_not_want_to_end_is_killed(place):
    (place.folder / "collected").touch()
    process = place.start("trap '' TERM; touch ../ready; while :; do sleep 0.05; done")
    place.wait_for("ready")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 137
    assert (place.folder / "exit").read_text() == "137 term\n"


def test_time_is_limited(place):
    assert place.run("exec sleep 30", timeout_s=1) == (143, "143 timeout\n")


def test_it_leaves_only_when_all_is_collected(place):
    process = place.start("echo done")
    place.wait_for("exit")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    (place.folder / "collected").touch()
    assert process.wait(5) == 0


def test_it_does_not_wait_for_ever(place):
    assert place.start("true", upload_patience_s=1).wait(10) == 0


def test_others_may_read_what_a_jealous_program_wrote(place):
    assert place.run("umask 077; mkdir ../outputs/o; echo x > ../outputs/o/f")[0] == 0
    assert (place.folder / "outputs/o/f").stat().st_mode & 0o040
    assert (place.folder / "outputs/o").stat().st_mode & 0o010


def test_programs_hear_interrupts(place):
    if place.shell[0] == "busybox":
        return  # its `env` cannot reset them: there, a program in the background stays deaf to Ctrl-C
    code = "import signal, sys; sys.exit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)"
    assert place.run(f'{sys.executable} -c "{code}"')[0] == 0


def test_the_containers_own_log_has_it_too(place):
    place.start("echo here")
    until = time.monotonic() + 10
    while "here" not in (place.folder / "container.log").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)


NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")


def _namespaces() -> bool:
    return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _namespaces(), reason="no process namespaces here")
class TestAsFirstProcess:
    """As in a container: process number one, alone with what it started."""

    def test_nothing_slips_away(self, place):
        command = "(setsid sleep 97 &) ; setsid sh -c 'sleep 0.2; echo late > ../late' & echo ok"
        assert place.run(command, 0, NAMESPACE) == (0, "0 \n")
        assert not (place.folder / "late").exists()

    def test_everything_is_told_to_end(self, place):
        (place.folder / "collected").touch()
        inner = "trap 'sleep 0.3; echo heard > ../heard; exit' TERM; touch ../ready; while :; do sleep 0.05; done"
        process = place.start(f'setsid sh -c "{inner}" & sleep 30', 0, NAMESPACE, grace_s=8)
        place.wait_for("ready")
        first = next(iter(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()))
        os.kill(int(first), signal.SIGTERM)
        assert process.wait(10) == 143
        assert (place.folder / "heard").exists()
        assert (place.folder / "exit").read_text() == "143 term\n"

    def test_a_plain_run(self, place):
        assert place.run("echo hi; exit 2", 0, NAMESPACE) == (2, "2 rank 0\n")
