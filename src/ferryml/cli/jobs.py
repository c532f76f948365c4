"""`ferry job`: create, follow, look, fetch, cancel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.assets import Archived, ArchivedOnly, archived_word, loader
from ferryml.cli.editing import changes
from ferryml.cli.job_words import FAILED, explained, logs_stay, said
from ferryml.cli.kit import Edits, Shared, new_app

COLUMNS = ("name", "display_name", "status", "compute", "experiment_name", "creation_context.created_at")
PAGE = 50
"""Jobs that `list` shows when no number is given, as az does."""


@dataclass(kw_only=True)
class AzOnly(kit.Bundle):
    """Options of az that are read and do nothing here."""

    web: Annotated[bool, typer.Option("--web", "-e", hidden=True, help="Accepted, ignored.")] = False
    skip_validation: Annotated[bool, typer.Option("--skip-validation", hidden=True, help="Accepted, ignored.")] = False


app = new_app("Jobs: create, follow, look, fetch, cancel.")


@kit.verb(app, "create", COLUMNS)
def create(
    shared: Shared, ignored: AzOnly, file: kit.File, name: kit.OptionalName = None, set: kit.Set = None,
    stream: Annotated[bool, typer.Option("--stream", "-s", help="Follow its log to the end.")] = False,
    save_as: Annotated[Path | None, typer.Option("--save-as", "-a", help="Write the job to a YAML file.")] = None,
) -> Any:  # fmt: skip
    """Submit a job. With --stream its log is printed, and the exit code is 1 unless it completed."""
    spec = loader("load_job")(file, kit.overrides(set, name=name), warn=shared.talk.warn)
    with shared.talk.busy("sending what is local"):
        job = shared.client.jobs.create(spec)
    if save_as is not None:
        from ferryml.cli.output import written

        save_as.write_text(written(job, "yaml"), encoding="utf-8")
    if not stream:
        return job
    return follow(shared, job["name"])


@kit.verb(app, "stream")
def stream(shared: Shared, name: kit.Name) -> Any:
    """Follow a job's log to its end; exits with 1 unless the job completed."""
    return follow(shared, name)


@kit.verb(app, "show", COLUMNS)
def show(
    shared: Shared, name: kit.Name,
    explain: Annotated[bool, typer.Option("--explain", help="Say why it is where it is, and what mends it.")] = False,
    web: Annotated[bool, typer.Option("--web", "-e", hidden=True, help="Accepted, ignored.")] = False,
) -> Any:  # fmt: skip
    """Show a job; a note says in words why it is not running."""
    if explain:
        found = shared.client.jobs.explain(name)
        if shared.asked:
            return found
        print(explained(name, found))
        return None
    job = shared.client.jobs.get(name)
    if text := said(job):
        shared.talk.note(text)
    return job


@kit.verb(app, "list", COLUMNS)
def list_(
    shared: Shared, max_results: kit.MaxResults = None,
    all_results: Annotated[bool, typer.Option("--all-results", help="Not only the newest 50.")] = False,
    parent_job_name: Annotated[str | None, typer.Option("--parent-job-name", "-p", help="Children of this.")] = None,
    include_archived: Archived = False, archived_only: ArchivedOnly = False,
    status: Annotated[str | None, typer.Option("--status", help="Only those in this state.")] = None,
) -> Any:  # fmt: skip
    """List jobs, newest first."""
    limit = None if all_results else max_results or PAGE
    archived = archived_word(include_archived, archived_only)
    return shared.client.jobs.list(limit, status=status, parent=parent_job_name, archived=archived)


@kit.verb(app, "cancel")
def cancel(shared: Shared, name: kit.Name, no_wait: kit.NoWait = False) -> None:
    """Ask for a job's end and wait for it."""
    job = shared.client.jobs.cancel(name)
    if not no_wait and job["status"] not in ("Completed", "Failed", "Canceled"):
        with shared.talk.busy(f"cancelling {name}"):
            shared.client.jobs.wait(name, shared.talk.state)


@kit.verb(app, "download")
def download(
    shared: Shared, name: kit.Name, download_path: kit.DownloadPath = Path(),
    output_name: Annotated[str | None, typer.Option("--output-name", help="This output only.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Every output.")] = False,
) -> None:  # fmt: skip
    """Bring outputs to DOWNLOAD_PATH: artifacts/ has ./outputs and ./logs, named-outputs/ the others."""
    with shared.talk.busy(f"fetching outputs of {name}"):
        files = shared.client.jobs.download(name, download_path, output_name, all)
    more = "" if files or output_name or all else f"; {name} wrote nothing to ./outputs, try --output-name or --all"
    shared.talk.note(f"{len(files)} files below {download_path}{more}")


@kit.verb(app, "validate")
def validate(shared: Shared, file: kit.File, set: kit.Set = None) -> Any:
    """Read a job's file as create does, and submit nothing."""
    loader("load_job")(file, kit.overrides(set), warn=shared.talk.warn)
    return {"result": "Succeeded", "errors": []}


@kit.verb(app, "update", COLUMNS)
def update(shared: Shared, edits: Edits, name: kit.Name) -> Any:
    """Change tags, description, display name or properties."""
    return shared.client.jobs.update(name, changes(shared.client.jobs.get(name), edits))


@kit.verb(app, "archive")
def archive(shared: Shared, name: kit.Name) -> None:
    """Hide a job that has ended from lists."""
    shared.client.jobs.archive(name)


@kit.verb(app, "restore")
def restore(shared: Shared, name: kit.Name) -> None:
    """Show an archived job again."""
    shared.client.jobs.restore(name)


@kit.verb(app, "logs", ("path", "size"))
def logs(
    shared: Shared, name: kit.Name,
    path: Annotated[str | None, typer.Option("--path", "-p", help="Print this one; else list them.")] = None,
) -> Any:  # fmt: skip
    """List a job's log files, or print one."""
    if path is None:
        found = shared.client.jobs.logs(name)
        if not found and (text := logs_stay(shared.client.jobs.get(name))):
            shared.talk.note(text)
        return found
    from ferryml.sdk.client import stdout_bytes

    shared.client.jobs.log(name, path, stdout_bytes)
    return None


@kit.verb(app, "connect")
def connect(
    shared: Shared,
    name: Annotated[str | None, typer.Option("--name", "-n", help="Its name; else the first word.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="NAME [-- COMMAND]", help="Job, and command.")] = None,
    node_index: Annotated[int, typer.Option("--node-index", "-i", help="Which pod of a job of several.")] = 0,
    no_tty: Annotated[bool, typer.Option("--no-tty", "-T", help="Plain input and output, no terminal.")] = False,
) -> None:  # fmt: skip
    """Open a shell in a running job of one's own, or run a command there; exits as that does."""
    import sys

    from ferryml.cli.connecting import Desk, window

    command = list(words or ())
    job = kit.need(name or (command.pop(0) if command else None), "the job's name")
    terminal = not no_tty and sys.stdin.isatty() and sys.stdout.isatty()
    size = window().model_dump() if terminal else None
    made = shared.client.jobs.connect(job, {"command": command, "terminal": size, "rank": node_index})
    desk = Desk(shared.client.jobs, made["id"], terminal)
    code = desk.run()
    if desk.reason:
        shared.talk.warn(desk.reason)
    raise typer.Exit(code)


@kit.verb(app, "show-services")
def show_services(
    shared: Shared, name: kit.Name,
    node_index: Annotated[int, typer.Option("--node-index", "-i", help="Accepted, ignored.")] = 0,
) -> Any:  # fmt: skip
    """Show the addresses that belong to a job."""
    return shared.client.jobs.get(name).get("services", {})


def follow(shared: Shared, name: str, log: str = "std_log.txt") -> Any:
    """Print a log of the job to its end; exits with 1 unless it completed."""
    import sys

    from ferryml.sdk.client import stdout_bytes

    def aside(data: bytes) -> None:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    told: set[str] = set()

    def seen(job: dict[str, Any]) -> None:
        shared.talk.state(job)
        if (text := logs_stay(job)) and text not in told:
            shared.talk.note(text)
            told.add(text)

    # who asks for a part of the answer reads standard output: the log must not stand before it
    job = shared.client.jobs.stream(name, aside if shared.asked else stdout_bytes, seen, log)
    if shared.asked:
        kit.show(job, shared, COLUMNS)
    if job["status"] in FAILED:
        for line in (job.get("ferry") or {}).get("error_lines") or ():
            shared.talk.note(f"  {line}")
        raise typer.Exit(1)
