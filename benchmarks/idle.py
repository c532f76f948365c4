"""What Ferry costs when nothing happens: CPU and memory of a server and of a local site's agent."""

from __future__ import annotations

import time

from benchmarks.kit import MIB, Figures, Program, a_server, a_site, folder


def run(quick: bool) -> Figures:
    """After one job, so that everything has been touched once, and a pause in which it settles."""
    figures, seconds = Figures("idle"), 10 if quick else 60
    with folder() as base, a_server(base) as server, a_site(base, server) as site:
        server.ended(server.submit("local"))
        time.sleep(5)
        both = {"server": server.program, "site (agent, gateway, router)": site}
        before = {name: program.cpu_s() for name, program in both.items()}
        began = time.perf_counter()
        time.sleep(seconds)
        took = time.perf_counter() - began
        for name, program in both.items():
            figures.add(f"{name}, CPU", (program.cpu_s() - before[name]) / took * 1000, "millicores")
            figures.add(f"{name}, RSS", program.rss(), "MiB")
            figures.add(f"{name}, memory of its own (USS)", _own(program), "MiB")
    figures.notes.append(f"over {seconds} s; server and site are processes of their own")
    return figures


def _own(program: Program) -> float:
    return sum(one.memory_full_info().uss for one in program.family()) / MIB
