"""How the data report's page looks, in light, on a phone, and printed."""

STYLE = """
:root { --ink: #1f2933; --quiet: #616e7c; --line: #e4e7eb; --ground: #f5f6f8; --card: #fff;
  --train: #0072b2; --val: #b35c00; --bad: #b3261e; --good: #00704f; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 Inter, 'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', Arial, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 44px 24px 80px; }
h1 { font-size: 32px; letter-spacing: -.02em; line-height: 1.15; margin: 0 0 8px;
  overflow-wrap: anywhere; }
.verdict { font-size: 18px; margin: 0 0 24px; max-width: 52em; padding-left: 14px;
  border-left: 4px solid var(--good); }
.verdict.bad { border-color: var(--bad); }
.kicker { color: var(--quiet); font-size: 12px; letter-spacing: .09em; text-transform: uppercase;
  margin: 0 0 4px; }
.cards { display: grid; gap: 12px; grid-template-columns:
  repeat(auto-fit, minmax(max(134px, 100% / var(--across) - 12px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 16px; }
.card b { display: block; font-size: 25px; line-height: 1.25; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; }
.card span { color: var(--quiet); font-size: 13px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 22px 24px; margin: 20px 0 0; }
h2 { font-size: 20px; letter-spacing: -.01em; margin: 0 0 2px; }
h3 { font-size: 14px; margin: 20px 0 8px; }
.lead { color: var(--quiet); margin: 0 0 14px; max-width: 60em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--quiet); font-weight: 500; font-size: 13px; }
th, td { border-bottom: 1px solid var(--line); padding: 6px 14px 6px 0; vertical-align: middle; }
tr:last-child td { border-bottom: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.file { font-family: ui-monospace, 'Cascadia Mono', Menlo, monospace; font-size: 12.5px;
  overflow-wrap: anywhere; }
td.file { min-width: 20em; } td.what { min-width: 14em; }
img { display: block; border-radius: 5px; background: #d8dce1; }
.pill { display: inline-block; border-radius: 99px; padding: 1px 9px; font-size: 12px;
  font-weight: 600; color: #fff; background: var(--quiet); }
.pill.train { background: var(--train); } .pill.val { background: var(--val); }
.pill.both, .pill.broken { background: var(--bad); }
.bar { display: flex; height: 22px; border-radius: 6px; overflow: hidden; margin: 4px 0 6px;
  background: var(--line); }
.bar i { display: block; }
.bar .train { background: var(--train); } .bar .val { background: var(--val); }
.bar .leak { background: repeating-linear-gradient(45deg, var(--bad) 0 6px, #d9534a 6px 12px); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--quiet); font-size: 13px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin: 0 6px 0 0; }
.meter { height: 8px; border-radius: 4px; background: var(--line); min-width: 120px; }
.meter i { display: block; height: 100%; border-radius: 4px; background: var(--train); }
.atlas { display: grid; grid-template-columns: minmax(180px, 256px) 1fr; gap: 28px; }
.atlas img { width: 100%; image-rendering: pixelated; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(252px, 1fr)); gap: 14px; }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: 10px; min-width: 0; }
.tile header { display: flex; justify-content: space-between; gap: 8px; align-items: center;
  margin-bottom: 8px; }
.tile header b { font-size: 13.5px; overflow-wrap: anywhere; }
.tile footer { color: var(--quiet); font-size: 12.5px; margin-top: 6px; }
.tile .row { display: grid; grid-template-columns: 2fr 1fr 1fr; gap: 4px; }
.tile .row img { width: 100%; height: 100%; object-fit: cover; aspect-ratio: 1; }
.tile .row img:first-child { grid-row: span 2; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; }
.pair img { width: 100%; aspect-ratio: 1; object-fit: cover; }
.shots { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 14px; }
.shots img { width: 100%; }
.shots b { font-size: 13.5px; } .shots small { color: var(--quiet); display: block; }
.missing { background: #eceff2; color: var(--quiet); font-size: 12px; border-radius: 5px;
  display: grid; place-items: center; aspect-ratio: 1; }
@media (max-width: 640px) { main { padding: 24px 12px; } .atlas { grid-template-columns: 1fr; } }
@media print { body { background: #fff; } section { break-inside: avoid-page; } }
"""
