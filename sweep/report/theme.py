"""How every chart looks. Colours are Okabe and Ito's, told apart by the colour-blind too; states
have symbols of their own besides."""

from __future__ import annotations

from typing import Any

INK = "#1f2933"
QUIET = "#7b8794"
HAIRLINE = "#e4e7eb"
PASS = "#009e73"
PASS_FILL = "rgba(0, 158, 115, 0.10)"
BASELINE = "#e69f00"
THRESHOLD = "#b3541e"

STATES = {
    "complete": "#0072b2",
    "promoted": "#cc79a7",
    "pruned": "#7b8794",
    "failed": "#d55e00",
    "running": "#56b4e9",
}
SYMBOLS = {
    "complete": "circle",
    "promoted": "triangle-up",
    "pruned": "x-thin",
    "failed": "square",
    "running": "circle-open",
}
TERMS = {"cycle": "#0072b2", "uv": "#e69f00", "direct": "#009e73", "cross": "#cc79a7"}

FONT = "Inter, 'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', Arial, sans-serif"
CONFIG = {"displayModeBar": False, "responsive": True}
"""Zooming is by dragging; the bar of buttons would lie over the legends."""


def layout(height: int, **over: Any) -> dict[str, Any]:
    """The layout that all charts share, with ``over`` on top."""
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 64, "r": 24, "t": 36, "b": 56},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": INK},
        "hoverlabel": {"font": {"family": FONT, "size": 12}, "bgcolor": "white"},
        "showlegend": True,
        "legend": {
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "font": {"size": 12},
        },
    }
    return base | over


def axis(title: str | None = None, **over: Any) -> dict[str, Any]:
    """A quiet axis."""
    base: dict[str, Any] = {
        "gridcolor": HAIRLINE,
        "zeroline": False,
        "linecolor": QUIET,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": HAIRLINE,
        "tickfont": {"size": 12, "color": QUIET},
    }
    if title is not None:
        base["title"] = {"text": title, "font": {"size": 13, "color": INK}}
    return base | over
