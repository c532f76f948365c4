"""What every site can say of a job by itself: environments that fail, programs that fail, orders that are refused."""

from __future__ import annotations

from ferryml.domain.errors import FerryError
from ferryml.domain.explain import Facts, Finding, Refusal, explain
from ferryml.domain.orders import JobOrder
from ferryml.domain.seen import EnvSeen, JobSeen


def explained(order: JobOrder, environment: EnvSeen, job: JobSeen) -> JobSeen:
    """The same with findings: the backend's, else those of environment and program. Bound logs are not quoted."""
    found = job.findings
    if not found and environment.state == "failed":
        found = explain(Facts(environment=environment.model_dump()))
    if not found and job.state == "exited" and job.exit_code:
        found = explain(Facts(exit_code=job.exit_code, error_lines=job.error_lines))
    if order.residency.zones and "logs" not in order.residency.release:
        found = tuple(each for each in found if not each.quotes_log)
    return job if found == job.findings else job.model_copy(update={"findings": found})


def of_refusal(error: FerryError) -> tuple[Finding, ...]:
    """Why the site would not take an order."""
    status = error.details.get("status")
    refusal = Refusal(
        "the job", int(status) if isinstance(status, int) else 0, str(error.details.get("reason") or error.code),
        error.message,
    )  # fmt: skip
    return explain(Facts(refusals=(refusal,)))
