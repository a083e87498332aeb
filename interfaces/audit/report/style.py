"""How the report looks: one sheet for light and dark, narrow and wide, screen and paper."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

from ....diagrams.svg import STYLE as MACHINE

_SHEET: Final = """
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --rule: #d8dee4; --faint: #f4f6f8;
  --done: #2563b8; --failed: #c2571a; --open: #9aa4af; --good: #1a6b3c; --bad: #b3261e; }
@media screen and (prefers-color-scheme: dark) { :root {
  --paper: #0d1117; --ink: #e8edf2; --soft: #9aa5b1; --rule: #2b323b; --faint: #161b22;
  --done: #6cb6ff; --failed: #f0965a; --open: #5d6874; --good: #6fd39b; --bad: #ff9d85; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.sheet { max-width: 66rem; margin: 0 auto; padding: 3.5rem 2rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 .35rem; }
h2 { font-size: 1.15rem; line-height: 1.3; letter-spacing: -0.01em; margin: 0 0 .25rem; }
h3 { font-size: .95rem; margin: 0 0 .5rem; }
p { margin: 0 0 .75rem; max-width: 44rem; }
.soft, caption, figcaption, .axis, footer { color: var(--soft); }
.soft, caption, figcaption, .axis { font-size: .875rem; }
code, .id { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .875em; }
section { padding: 2.25rem 0 0; margin: 2.25rem 0 0; border-top: 1px solid var(--rule); }
.verdict { display: grid; grid-template-columns: auto 1fr; gap: 0 .9rem; margin: 2rem 0 0;
  padding: 1.1rem 1.25rem; background: var(--faint); border: 0; border-radius: .5rem; }
.verdict > svg { width: 1.6rem; height: 1.6rem; margin-top: .05rem; }
.verdict p, .verdict ul { margin: .15rem 0 0; max-width: none; }
.verdict ul { padding-left: 1.1rem; }
.good > svg { color: var(--good); } .bad > svg { color: var(--bad); } .unknown > svg { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1.5rem;
  margin: 2.5rem 0 0; }
.figures div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.figures dt { color: var(--soft); font-size: .875rem; line-height: 1.35; }
.figures dd { margin: 0; font-size: 2rem; line-height: 1.25; font-weight: 600; letter-spacing: -0.02em; }
.chart { margin: 1.25rem 0 0; }
.plot { position: relative; border-bottom: 1px solid var(--open); padding-left: 2.5rem; }
.plot svg { display: block; width: 100%; height: 11rem; }
.plot span { position: absolute; left: 0; font-size: .8125rem; color: var(--soft); line-height: 1; }
.plot .top { top: 0; } .plot .zero { bottom: .1rem; }
.grid { stroke: var(--rule); stroke-width: 1; vector-effect: non-scaling-stroke; }
.done { fill: var(--done); } .failed { fill: var(--failed); } .open { fill: var(--open); }
.axis { display: flex; justify-content: space-between; gap: 1rem; padding: .4rem 0 0 2.5rem; }
figcaption { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin-top: .9rem; }
figcaption svg { width: .7rem; height: .7rem; margin-right: .45rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 2.25rem 3.5rem; }
* + .columns { margin-top: 1.75rem; }
h2 + p { margin-bottom: 1.25rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
caption { text-align: left; padding: 0 0 .6rem; }
caption { overflow-wrap: anywhere; }
th, td { text-align: left; vertical-align: baseline; padding: .4rem .9rem .4rem 0; font-weight: 400;
  border-bottom: 1px solid var(--rule); }
thead th { color: var(--soft); font-size: .8125rem; white-space: nowrap; overflow-wrap: normal; }
tbody tr:last-child > * { border-bottom: 0; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; white-space: nowrap; overflow-wrap: normal; width: 1%; }
.t { white-space: nowrap; overflow-wrap: normal; width: 1%; }
.bar { width: 34%; min-width: 4rem; }
.bar svg { display: block; width: 100%; height: .55rem; }
.login { border-bottom: 1px solid var(--rule); }
.login > summary { display: grid; grid-template-columns: 1rem 3.5rem 3fr 4fr 15rem;
  gap: 0 1rem; align-items: baseline; padding: .65rem 0; cursor: pointer; list-style: none; }
.login > summary::-webkit-details-marker { display: none; }
.login > summary::before { content: ""; width: .4rem; height: .4rem; align-self: center;
  border: solid var(--soft); border-width: 0 1.5px 1.5px 0; transform: rotate(-45deg); }
.login[open] > summary::before { transform: rotate(45deg); }
.login > summary:hover { background: var(--faint); }
:focus-visible { outline: 2px solid var(--done); outline-offset: 2px; }
.login > summary > :last-child { text-align: right; }
.how svg { width: .6rem; height: .6rem; margin-right: .5rem; }
.path { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 1.5rem 3rem;
  padding: .5rem 0 2rem 2rem; }
.path > * { min-width: 0; }
.path table { font-size: .875rem; overflow-wrap: normal; }
.path th, .path td { padding-right: .6rem; }
.drawing { overflow-x: auto; }
.drawing .machine { display: block; max-width: 100%; height: auto; }
.whole .machine { margin: 0 auto; }
footer { margin-top: 3rem; padding-top: 1.25rem; border-top: 1px solid var(--rule); font-size: .875rem; }
@media (max-width: 52rem) { .path { grid-template-columns: 1fr; padding-left: 0; } }
@media (max-width: 44rem) {
  .sheet { padding: 1.75rem 1.1rem 3rem; }
  h1 { font-size: 1.6rem; }
  .figures { grid-template-columns: repeat(2, 1fr); gap: 1.1rem; }
  .figures dd { font-size: 1.6rem; }
  .login > summary { grid-template-columns: 1rem 4.5rem 1fr; }
  .login > summary > :nth-child(n+3) { grid-column: 2 / -1; text-align: left; }
  .login > summary > :nth-child(2) { grid-column: 3; grid-row: 1; }
  .login > summary > :nth-child(1) { grid-column: 2; grid-row: 1; }
  .path table { font-size: .8125rem; }
  .path th, .path td { padding-right: .5rem; }
  .drawing .machine { min-width: 30rem; }
  .bar { width: 24%; min-width: 3rem; }
}
@media print {
  @page { margin: 1.6cm; }
  :root { color-scheme: light; }
  body { font-size: 10pt; }
  .sheet { max-width: none; padding: 0; }
  .verdict { border: 1px solid var(--rule); }
  section { break-inside: auto; }
  h2, h3, caption, summary { break-after: avoid; }
  tr, figure, .figures, .verdict, .drawing { break-inside: avoid; }
  .wide, .drawing { overflow: visible; }
  .login > summary { grid-template-columns: 3.5rem 3fr 4fr 15rem; }
  .login > summary::before { content: none; }
  .path { grid-template-columns: 1fr 1fr; padding-left: 0; }
  .login::details-content { content-visibility: visible; block-size: auto; }
  .drawing .machine { max-height: 20cm; }
  svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

STYLE: Final = f"{_SHEET}{MACHINE}"
"""All of the page's style."""

POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
"""The page may load nothing, run nothing and send nothing; its own style alone applies."""
