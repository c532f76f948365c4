"""The wheel holds everything that the sources hold, and the client's install brings only the client's libraries."""

import subprocess
import sys
import zipfile

from source import ROOT, tracked


def test_the_wheel_holds_all_of_the_package(tmp_path):
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, timeout=60)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        held = set(wheel.namelist())
        metadata = wheel.read(next(name for name in held if name.endswith("/METADATA"))).decode()
    sources = {p.relative_to(ROOT / "src").as_posix() for p in tracked() if p.is_relative_to(ROOT / "src")}
    assert not sources - held
    needed = [
        line.split()[1]
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    ]
    assert len(needed) == 7, needed
