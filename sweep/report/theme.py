"""How every chart looks.

The colours are the palette of Okabe and Ito, which colour-blind readers can tell apart. Each state
of a run has a symbol too.
"""

from __future__ import annotations

from html import escape
from typing import Any

INK = "#1f2933"
QUIET = "#7b8794"
HAIRLINE = "#e4e7eb"
PASS = "#009e73"
PASS_FILL = "rgba(0, 158, 115, 0.10)"
BASELINE = "#e69f00"
THRESHOLD = "#b3541e"


def _rgb(colour: str) -> str:
    """A colour as Plotly writes it into an element's style."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


TOKENS = (
    (_rgb(INK), "--ink"),
    (_rgb(QUIET), "--quiet"),
    (_rgb(HAIRLINE), "--line"),
    (_rgb(THRESHOLD), "--val"),
)
"""Colour in a chart -> the page's token for it, which differs between light and dark."""

STATES = {
    "complete": "#0072b2",
    "promoted": "#cc79a7",
    "pruned": "#7b8794",
    "failed": "#d55e00",
    "running": "#56b4e9",
    "interrupted": "#f0e442",
}
SYMBOLS = {
    "complete": "circle",
    "promoted": "triangle-up",
    "pruned": "x-thin",
    "failed": "square",
    "running": "circle-open",
    "interrupted": "circle-x-open",
}
TERMS = {"cycle": "#0072b2", "uv": "#e69f00", "direct": "#009e73", "cross": "#cc79a7"}

FONT = "Inter, 'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', Arial, sans-serif"
CONFIG = {"displayModeBar": False, "responsive": True}
"""Without the bar of buttons, which covers the legends. A reader zooms by dragging."""


def layout(height: int, **over: Any) -> dict[str, Any]:
    """The layout of all charts.

    Args:
        height: in pixels.
        over: entries that replace those of the layout.
    """
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
    """An axis with thin, pale lines; ``over`` replaces its entries."""
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


def plain(name: str) -> str:
    """A name with its tags escaped. Quotes stay: Plotly does not read their entities."""
    return escape(name, quote=False)


def tick_step(count: int, most: int = 15) -> int:
    """The distance of ticks: a whole number, so that there are at most ``most`` of them."""
    return max(1, -(-count // most))
