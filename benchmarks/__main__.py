"""`python -m benchmarks [--quick] [TOPIC ...]`: runs the topics one after another and keeps results/*.json."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time
import traceback

TOPICS = (
    "cli_start", "first_job", "start_latency", "dispatch", "many_runs", "mlflow_ingest", "artifacts", "router",
    "haproxy", "idle", "kubernetes", "serving_kubernetes",
)  # fmt: skip


def main() -> int:
    """0 when every topic could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"any of {', '.join(TOPICS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="small samples, two or three minutes in all")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.topics) - set(TOPICS)):
        parser.error(f"no such topic: {unknown[0]}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped on the way out
    began, failed = time.monotonic(), []
    for topic in asked.topics or TOPICS:
        try:
            figures = importlib.import_module(f"benchmarks.{topic}").run(asked.quick)
            figures.tell()
            if figures.missing:
                failed.append(f"parts of {topic}")
        except (RuntimeError, OSError, TimeoutError):
            traceback.print_exc()
            failed.append(topic)
    print(f"{time.monotonic() - began:.0f} s in all" + (f"; not measured: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
