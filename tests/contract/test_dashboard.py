"""The Grafana dashboard asks for figures that the router tells."""

import json
import re
from pathlib import Path

from ferryml.router.haproxy import door

BOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "ferry-router.json"


def test_every_figure_is_told():
    board = json.loads(BOARD.read_text())
    expressions = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    told = {f"ferry_router_{name}_total" for name, _ in door._TOTALS} | {
        f"ferry_router_{name}" for name, _ in door._GAUGES
    }
    told |= {f"ferry_router_latency_ms{part}" for part in ("", "_sum", "_count")}
    told |= {"ferry_router_answers_total", "ferry_router_reloads_total", "ferry_router_generation"}
    asked = set(re.findall(r"ferry_router_\w+", expressions))
    assert asked <= told
    assert len(asked) > 10


def test_panels_do_not_lie_on_one_another():
    places = [panel["gridPos"] for panel in json.loads(BOARD.read_text())["panels"]]
    taken = {(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
    assert len(taken) == sum(p["w"] * p["h"] for p in places)
