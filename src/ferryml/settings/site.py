"""The knobs of a site: agent, gateway and local backend."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ferryml.settings.knob import Knob, OptionalPath, Settings
from ferryml.settings.server import GIB, MIB


class SiteSettings(Settings):
    """Read from FERRY_SITE_* and the section `site`."""

    section: ClassVar[str] = "site"

    # Who it is
    name: Annotated[
        str,
        Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"),
        Knob("The site's name on the server: 1 to 40 of a-z, 0-9 and -."),
    ] = "local"
    zone: Annotated[
        str, Knob("Residency zone of this site; data bound to other zones never comes here.", off="empty: in no zone")
    ] = ""
    state_dir: Annotated[Path, Knob("Folder of keys, site store, journal and running work.")] = Path(".ferry/site")
    backend: Annotated[
        Literal["local", "kubernetes"], Knob("What runs the work: processes of this machine, or pods.")
    ] = "local"

    # The way to the server
    server_url: Annotated[str, Knob("Address of the server; the only thing a site must reach.")] = (
        "http://127.0.0.1:8765"
    )
    proxy: Annotated[
        str,
        Field(repr=False),
        Knob("HTTP proxy for everything outbound, http://[user:password@]host:port.", off="empty", secret=True),
    ] = ""
    no_proxy: Annotated[
        str,
        Knob(
            "Hosts reached without the proxy, separated by commas; keep loopback in it.",
            off="empty: all through the proxy",
        ),
    ] = "127.0.0.1,localhost"
    ca_bundle: Annotated[
        OptionalPath, Knob("PEM file of certificate authorities to trust instead of the public ones.", off="empty")
    ] = None
    connect_timeout_s: Annotated[float, Field(gt=0), Knob("Longest wait for a connection to the server.", unit="s")] = (
        10
    )
    retry_min_s: Annotated[
        float, Field(gt=0), Knob("First pause after a failed connection; doubles, with jitter.", unit="s")
    ] = 0.2
    retry_max_s: Annotated[
        float, Field(gt=0), Knob("Longest pause between two attempts to reach the server.", unit="s")
    ] = 30

    # Doors of the site
    gateway_host: Annotated[str, Knob("Address on which the gateway listens for jobs and deployments.")] = "127.0.0.1"
    gateway_port: Annotated[int, Field(ge=0, le=65_535), Knob("Port of the gateway.", off="0 takes any free port")] = 0
    router_host: Annotated[str, Knob("Address on which the router takes predictions.")] = "127.0.0.1"
    router_port: Annotated[int, Field(ge=0, le=65_535), Knob("Port of the router.", off="0 takes any free port")] = 0

    # Environments
    package_index: Annotated[
        str,
        Field(repr=False),
        Knob(
            "Package index for environments, where the site has one of its own.",
            off="empty: what uv is configured with",
            secret=True,
        ),
    ] = ""
    python: Annotated[
        Literal["exact", "nearest"],
        Knob("exact refuses a Python version that cannot be had; nearest takes the closest one here and says so."),
    ] = "exact"
    prepare_timeout_s: Annotated[float, Field(gt=0), Knob("Longest time for preparing one environment.", unit="s")] = (
        1800
    )
    parallel_preparations: Annotated[
        int, Field(ge=1), Knob("Environments prepared at the same time.", unit="environments")
    ] = 2

    # Work
    accept_zone_bound: Annotated[
        bool,
        Knob(
            "Consent to zone-bound inputs here, although processes of one user are not isolated from each other.",
            off="false",
        ),
    ] = False
    max_parallel_jobs: Annotated[
        int, Field(ge=0), Knob("Jobs running at once; others wait and say why.", unit="jobs", off="0: as many as cores")
    ] = 0
    report_interval_s: Annotated[
        float, Field(gt=0), Knob("Longest time between two reports of what runs here.", unit="s")
    ] = 5
    log_flush_s: Annotated[float, Field(gt=0), Knob("How often new log lines leave a job.", unit="s")] = 0.5
    checkpoint_s: Annotated[
        float,
        Field(ge=0),
        Knob(
            "On clusters: how often a running job's outputs so far go to the gateway, for another attempt when the "
            "node is lost. A file counts once it has not changed from one time to the next.",
            unit="s",
            off="0: they leave when the job ends or is told to",
        ),
    ] = 60
    cancel_grace_s: Annotated[
        float,
        Field(ge=0),
        Knob("Time between asking a process group to end and killing it.", unit="s", off="0 kills at once"),
    ] = 10
    upload_grace_s: Annotated[
        float,
        Field(ge=0),
        Knob(
            "How long a finished job waits for the receipt of its outputs before it fails.",
            unit="s",
            off="0 waits for ever",
        ),
    ] = 3600
    drain_s: Annotated[
        float,
        Field(ge=0),
        Knob("Time for requests under way before an old deployment is stopped.", unit="s", off="0 stops at once"),
    ] = 10
    keep_finished_s: Annotated[
        float,
        Field(ge=0),
        Knob(
            "How long the folder of a finished job stays after the server has acknowledged it.",
            unit="s",
            off="0 removes it at once",
        ),
    ] = 3600

    # Logs
    log_upload: Annotated[
        Literal["all", "none"],
        Knob(
            "Whether logs of jobs, environments and deployments go to the server; none keeps them in the site store, "
            "where `ferry gateway logs` reads them, with the lines of errors that quote them.",
            off="none",
        ),
    ] = "all"
    collect_publish_s: Annotated[
        float, Field(gt=0), Knob("Shortest time between two versions of a collection of requests or answers.", unit="s")
    ] = 3600
    kept_logs_max_bytes: Annotated[
        int,
        Field(ge=0),
        Knob(
            "Most bytes of logs that stay on the site, for log_upload=none or for their zone; beyond it those of the "
            "work that spoke longest ago are removed whole.",
            unit="bytes",
            off="0: bounded by the disk alone",
        ),
    ] = 5 * GIB

    # Shells
    connect: Annotated[
        bool,
        Knob(
            "Let people open shells in their own running jobs (`ferry job connect`), over the site's outbound link.",
            off="false",
        ),
    ] = False

    # Limits
    min_free_disk_bytes: Annotated[
        int,
        Field(ge=0),
        Knob("Free disk below which no new work starts and no bytes are accepted.", unit="bytes", off="0"),
    ] = 1 * GIB
    max_log_bytes: Annotated[
        int, Field(ge=1), Knob("Most bytes kept of one log file; later ones are dropped with a note.", unit="bytes")
    ] = 512 * MIB
    max_body_bytes: Annotated[
        int, Field(ge=1), Knob("Largest request body at the gateway that is not a file.", unit="bytes")
    ] = 16 * MIB
    store_max_bytes: Annotated[
        int,
        Field(ge=0),
        Knob(
            "Size of the site store above which what is used least is removed.",
            unit="bytes",
            off="0: bounded by the disk alone",
        ),
    ] = 0
