"""The page: sections with a heading and one sentence each, and the style they share."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from sweep.report import theme

STYLE = f"""
:root {{ --ink: {theme.INK}; --quiet: {theme.QUIET}; --line: {theme.HAIRLINE};
  --pass: {theme.PASS}; --accent: {theme.STATES["complete"]}; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: #f7f8fa; color: var(--ink);
  font: 16px/1.55 {theme.FONT}; -webkit-font-smoothing: antialiased; }}
main {{ max-width: 1120px; margin: 0 auto; padding: 56px 28px 96px; }}
header {{ margin-bottom: 28px; }}
.kicker {{ color: var(--quiet); font-size: 13px; letter-spacing: .08em;
  text-transform: uppercase; margin: 0 0 6px; }}
h1 {{ font-size: 40px; line-height: 1.1; letter-spacing: -.02em; margin: 0 0 14px; }}
.verdict {{ font-size: 19px; max-width: 46em; margin: 0; }}
.verdict.passed {{ border-left: 4px solid var(--pass); padding-left: 16px; }}
.verdict.open {{ border-left: 4px solid {theme.BASELINE}; padding-left: 16px; }}
nav {{ display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 26px 0 0; font-size: 14px; }}
nav a {{ color: var(--accent); text-decoration: none; }}
nav a:hover, nav a:focus {{ text-decoration: underline; }}
section {{ background: #fff; border: 1px solid var(--line); border-radius: 12px;
  padding: 26px 28px 22px; margin: 22px 0; }}
h2 {{ font-size: 22px; letter-spacing: -.01em; margin: 0 0 4px; }}
h3 {{ font-size: 15px; margin: 22px 0 8px; }}
.lead {{ color: #52606d; margin: 0 0 16px; max-width: 56em; }}
.none {{ color: var(--quiet); background: #f7f8fa; border-radius: 8px; padding: 18px 20px;
  margin: 8px 0 4px; }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 14px;
  margin: 4px 0 22px; }}
.card {{ border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }}
.card b {{ display: block; font-size: 26px; line-height: 1.25; letter-spacing: -.01em; }}
.card span {{ color: var(--quiet); font-size: 13px; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px; }}
th {{ text-align: left; color: var(--quiet); font-weight: 500; font-size: 13px;
  border-bottom: 1px solid var(--line); padding: 6px 14px 6px 0; white-space: nowrap; }}
td {{ border-bottom: 1px solid var(--line); padding: 7px 14px 7px 0; vertical-align: top; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
tr:last-child td {{ border-bottom: 0; }}
tr.win td {{ background: {theme.PASS_FILL}; }}
td.why {{ color: #52606d; min-width: 18em; overflow-wrap: anywhere; }}
.pill {{ display: inline-flex; align-items: center; gap: 7px; white-space: nowrap; }}
.pill i {{ width: 9px; height: 9px; border-radius: 50%; }}
td:first-child, th:first-child {{ padding-left: 10px; }}
figure {{ margin: 0 0 14px; }}
figure img {{ width: 100%; display: block; border: 1px solid var(--line); border-radius: 6px;
  image-rendering: auto; }}
figcaption {{ color: var(--quiet); font-size: 13px; margin-top: 4px; }}
footer {{ color: var(--quiet); font-size: 13px; margin-top: 28px; }}
@media print {{ body {{ background: #fff; }} section {{ break-inside: avoid; }}
  nav {{ display: none; }} }}
@media (max-width: 640px) {{ main {{ padding: 28px 14px; }} section {{ padding: 18px 14px; }}
  h1 {{ font-size: 30px; }} }}
"""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M2 13 6 8l3 2 5-7' fill='none' stroke='%23009e73' stroke-width='2'/%3E%3C/svg%3E"
)


@dataclass(frozen=True)
class Section:
    """A heading, a sentence that says what is to be seen, and HTML."""

    key: str
    heading: str
    lead: str
    body: str


def page(title: str, verdict: str, passed: bool, sections: list[Section], plotly: str) -> str:
    """The whole document; ``plotly`` is the library's source."""
    links = "".join(f'<a href="#{s.key}">{escape(s.heading)}</a>' for s in sections)
    bodies = "\n".join(_section(section) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - schedule study</title>
<link rel="icon" href="{ICON}">
<style>{STYLE}</style>
<script>{plotly}</script>
</head>
<body>
<main>
<header>
<p class="kicker">Schedule study</p>
<h1>{escape(title)}</h1>
<p class="verdict {"passed" if passed else "open"}">{escape(verdict)}</p>
<nav aria-label="Sections">{links}</nav>
</header>
{bodies}
<footer>Made from the study's trial directories by <code>sweep report</code>; nothing on this page
is fetched from elsewhere. Drag in a chart to zoom, double-click to see all of it again.</footer>
</main>
</body>
</html>
"""


def nothing(sentence: str) -> str:
    """What stands where there is nothing to draw yet, and why."""
    return f'<p class="none">{escape(sentence)}</p>'


def cards(facts: dict[str, str]) -> str:
    """Large figures with their names."""
    inner = "".join(
        f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in facts.items()
    )
    return f'<div class="cards">{inner}</div>'


def pill(state: str) -> str:
    """A state, in its colour."""
    dot = f'<i style="background:{theme.STATES[state]}"></i>'
    return f'<span class="pill">{dot}{state}</span>'


def table(header: list[str], rows: list[list[str]], classes: list[str], win: set[int]) -> str:
    """Rows of ready HTML cells; ``classes`` go by column, ``win`` are the rows to bring out."""
    head = "".join(
        f'<th class="{kind}">{escape(name)}</th>'
        for name, kind in zip(header, classes, strict=True)
    )
    body = []
    for index, row in enumerate(rows):
        cells = "".join(f'<td class="{k}">{c}</td>' for c, k in zip(row, classes, strict=True))
        body.append(f'<tr class="{"win" if index in win else ""}">{cells}</tr>')
    inner = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="scroll"><table>{inner}</table></div>'


def _section(section: Section) -> str:
    return (
        f'<section id="{section.key}"><h2>{escape(section.heading)}</h2>'
        f'<p class="lead">{escape(section.lead)}</p>{section.body}</section>'
    )
