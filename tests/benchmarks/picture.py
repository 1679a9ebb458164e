"""The picture of the benchmark: what each call costs with each peer, from the median to the 99.9th percentile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from calls import CALLS, Cost
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from peer import BY_HAND

OURS, PEER, BUDGET = "#c2410c", "#475569", "#16a34a"


def draw(costs: Mapping[str, Mapping[str, Cost]], peers: Sequence[str], file: Path) -> None:
    """Draw a panel for each call, on one logarithmic scale."""
    # Text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmark", "font.size": 9}):
        figure = Figure(figsize=(13, 3.9), layout="constrained")
        panels = figure.subplots(1, len(costs), sharex=True, sharey=True)
        for panel, (call, by_peer) in zip(panels, costs.items(), strict=True):
            _panel(panel, call, by_peer, peers)
        figure.supxlabel(
            "microseconds per call on the caller's thread: median (dot) to 99.9th percentile;"
            " green: the budget of ours, a share of by hand"
        )
        figure.savefig(file, metadata={"Date": None})


def _panel(panel: Axes, call: str, by_peer: Mapping[str, Cost], peers: Sequence[str]) -> None:
    panel.set_title(call, family="monospace", fontsize=10)
    panel.set_xscale("log")
    panel.set_yticks(range(len(peers)), peers)
    panel.grid(axis="x", color="#e2e8f0")
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.axvline(CALLS[call].share * by_peer[BY_HAND.name].median, color=BUDGET, linewidth=1, linestyle="--")
    for place, peer in enumerate(peers):
        if peer in by_peer:
            cost, color = by_peer[peer], OURS if peer.startswith("ours") else PEER
            panel.plot([cost.median, cost.p999], [place, place], color=color, linewidth=2, solid_capstyle="butt")
            panel.plot([cost.median], [place], "o", color=color, markersize=5)
    if not panel.yaxis_inverted():
        panel.invert_yaxis()
