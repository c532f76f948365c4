"""`make demo-kubernetes`: two kubebox clusters, Ferry's images in them, a package index, and `ferry demo --kubernetes`.

What it was given is passed on to the demo; everything that was started here ends with it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]  # the harness lives with the tests

from images import INPUTS, BuildError  # noqa: E402  see above

import kubebox_images  # noqa: E402  see above
from ferryml.compile.serving import SERVER  # noqa: E402  see above
from kubebox.cluster import Cluster  # noqa: E402  see above
from kubebox.places import KubeboxError, program, run_folder  # noqa: E402  see above
from kubebox.texts import HUB_NAME  # noqa: E402  see above
from package_index import PACKAGES, Index, wheelhouse  # noqa: E402  see above

KEEP = "these clusters end with the demo: start two with `scripts/kubebox up`, then `ferry demo --kubernetes --keep`"
IN_CLUSTERS = tuple(name for name in INPUTS if name != "server")


def main(argv: list[str]) -> int:
    """The demo's own exit code, 1 when clusters or images cannot be had here."""
    if "--keep" in argv:
        print(KEEP, file=sys.stderr)
        return 2
    try:
        with ExitStack() as stack:
            clusters = stack.enter_context(two_clusters())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ferry-demo-")))
            index = Index(wheelhouse((*PACKAGES, SERVER), locked=False))
            stack.callback(index.close)
            for cluster in clusters:
                cluster.expose(index.port)
            values = folder / "values.json"
            values.write_text(json.dumps(chosen(index)))
            files = os.pathsep.join(str(cluster.kubeconfig) for cluster in clusters)
            told = ("--kubeconfigs", files, "--host", HUB_NAME, "--values", str(values), *argv)
            command = [sys.executable, "-m", "ferryml.cli.main", "demo", "--kubernetes", *told]
            path = f"{kubectl(folder)}{os.pathsep}{os.environ['PATH']}"
            return subprocess.run(command, env=os.environ | {"PATH": path}, check=False).returncode
    except (KubeboxError, BuildError) as error:
        print(f"demo-kubernetes: {error}", file=sys.stderr)
        return 1


@contextmanager
def two_clusters() -> Iterator[list[Cluster]]:
    """`cloud` and `onprem` with Ferry's images. If this program is killed, the next `up` of anybody removes them."""
    started: list[Cluster] = []
    try:
        with ThreadPoolExecutor() as several:
            tars = several.submit(lambda: [kubebox_images.build(name) for name in IN_CLUSTERS])
            coming = [several.submit(_up, name) for name in ("cloud", "onprem")]
            for one in as_completed(coming):
                started.append(one.result())
            archives = tars.result()
            list(several.map(lambda cluster: [cluster.load_image(tar) for tar in archives], started))
        yield sorted(started, key=lambda cluster: cluster.name)
    finally:
        for cluster in started:
            cluster.down()


def _up(name: str) -> Cluster:
    return Cluster.up(name, 1, folder=run_folder() / f"demo-{name}-{os.getpid()}", owner=os.getpid())


def chosen(index: Index) -> dict[str, object]:
    """What is special about these clusters."""
    return {
        "site": {"package_index": index.url(HUB_NAME)},
        "images": {"tag": "latest", "pullPolicy": "Never"},
        "gateway": {"store": {"kind": "ephemeral"}},
    }


def kubectl(folder: Path) -> Path:
    """A folder with the kubectl that kubebox has built, where PATH has none."""
    if shutil.which("kubectl") is None:
        wrapper = folder / "kubectl"
        wrapper.write_text(f'#!/bin/sh\nexec {program("kubernetes")} kubectl "$@"\n')
        wrapper.chmod(0o755)
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
