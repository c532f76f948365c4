"""Nothing in the project names a package registry's host or a folder of somebody's machine."""

import re

from source import ROOT, place, tracked

HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "golang" + ".org",
    "npm" + "js.org",
    "npm" + "js.com",
    "crates" + ".io",
]
FOLDERS = [r"(?<![\w.\-/}])/(?:work|root)/\w", r"/home/(?!user\b|USER\b|<)\w+/"]
FORBIDDEN = re.compile("|".join([*(re.escape(host) for host in HOSTS), *FOLDERS]))
BINARY = {".png", ".gz", ".npz", ".ico", ".woff2", ".pkl", ".zip", ".parquet"}


def texts():
    for path in tracked():
        if path.suffix not in BINARY:
            yield path, path.read_text(errors="replace")


def test_no_registry_host_and_no_machine_path():
    found = [
        f"{place(path)}:{number}: {match.group()}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        for match in [FORBIDDEN.search(line)]
        if match
    ]
    assert not found, "\n".join(found)


def test_relative_links_of_documents_lead_somewhere():
    broken = []
    for path, text in texts():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)\s#]+)", text):
            if not (path.parent / target).exists():
                broken.append(f"{place(path)}: {target}")
    assert not broken, "\n".join(broken)


def test_the_architecture_names_files_that_exist():
    named = re.findall(r"`([\w]+/[\w/]+\.py)`", (ROOT / "docs/architecture.md").read_text())
    assert len(named) > 20
    missing = [name for name in named if not (ROOT / "src/ferryml" / name).exists()]
    assert not missing, missing


def test_no_secret_or_big_file_is_tracked():
    big = [f"{place(p)}: {p.stat().st_size} bytes" for p in tracked() if p.stat().st_size > 1_000_000]
    keys = [
        place(p) for p, text in texts() if re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]{20}", text)
    ]
    assert not big + keys, "\n".join(big + keys)
    assert (ROOT / "LICENSE").exists()
