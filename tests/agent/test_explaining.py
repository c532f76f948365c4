"""What any site says of its jobs, and what it keeps to itself."""

from ferryml.agent.explaining import explained, of_refusal
from ferryml.domain.errors import Forbidden, Refused
from ferryml.domain.orders import Residency
from ferryml.domain.seen import EnvSeen, JobSeen
from ferryml.domain.statuses import Finding
from site_play import a_job

FAILED = JobSeen(state="exited", exit_code=1, error_lines=("ModuleNotFoundError: No module named 'sklearn'",))
READY = EnvSeen(state="ready")


def checks(job: JobSeen) -> list[str]:
    return [finding.check for finding in job.findings]


def test_programs_and_environments() -> None:
    assert checks(explained(a_job(), READY, FAILED)) == ["package.missing"]
    environment = EnvSeen(state="failed", code="EnvironmentFailed", message="Failed to build `a`: gcc")
    assert checks(explained(a_job(), environment, JobSeen())) == ["environment.build"]
    running = JobSeen(state="running")
    assert explained(a_job(), READY, running) is running


def test_the_backend_knows_better() -> None:
    own = Finding(code="PodOutOfMemory", cause="memory", check="memory.oom")
    job = FAILED.model_copy(update={"findings": (own,)})
    assert explained(a_job(), READY, job) is job


def test_bound_logs_are_not_quoted() -> None:
    bound = a_job(residency=Residency(zones=("z",), release=("models",)))
    assert checks(explained(bound, READY, FAILED)) == []
    released = a_job(residency=Residency(zones=("z",), release=("logs",)))
    assert checks(explained(released, READY, FAILED)) == ["package.missing"]


def test_refusals_of_a_cluster() -> None:
    text = 'jobs.batch is forbidden: User "a" cannot create resource "jobs" in API group "batch"'
    (found,) = of_refusal(Forbidden("Forbidden", text, details={"status": 403, "reason": "Forbidden"}))
    assert found.code == "PermissionMissing"
    assert of_refusal(Refused("BadValue", "anything else")) == ()
