"""The look of report.html: light and dark, for a desk and for a phone, without a script and without a font to load."""

CSS = """
:root { color-scheme: light dark;
  --paper: #fdfcf9; --panel: #ffffff; --ink: #1c1e21; --soft: #5d646e; --rule: #dfdcd4; --accent: #1f5f8b;
  --line0: #1f5f8b; --line1: #c2571a; --line2: #2f7d4f; --line3: #8a4f9e;
  --sub: #8a5200; --sub-bg: #fcefd2; --del: #a3232c; --del-bg: #fbe3e2; --ins: #1d5c94; --ins-bg: #dfedf9;
  --hit: 31 95 139; --miss: 205 84 30; --right: #1f6b3f; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #16181b; --panel: #1d2024; --ink: #e6e4df; --soft: #a0a6ae; --rule: #343940; --accent: #7db8e0;
  --line0: #7db8e0; --line1: #f0a46a; --line2: #7fcf9d; --line3: #cf9fe0;
  --sub: #f3c77a; --sub-bg: #40310f; --del: #f5a0a0; --del-bg: #451d20; --ins: #9cccf5; --ins-bg: #17344d;
  --hit: 90 150 200; --miss: 214 112 50; --right: #7fcf9d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  -webkit-text-size-adjust: 100%; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -.015em; margin: 0 0 .4rem; }
h2 { font-size: 1.35rem; letter-spacing: -.01em; margin: 3rem 0 .75rem; padding-top: .9rem;
  border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: var(--accent); }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: .86em;
  overflow-wrap: anywhere; }
.soft, .note { color: var(--soft); }
.note { font-size: .92rem; }
.warning { border-left: 3px solid var(--line1); padding-left: .75rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 1rem 0 0; font-size: .95rem; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.1rem; margin: .75rem 0; font-size: .92rem; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .75rem 0 1.25rem; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .94rem; min-width: 18rem; }
th, td { padding: .4rem .9rem .4rem 0; text-align: right; vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child, table.words td, table.words th { text-align: left; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; border-bottom: 1px solid var(--rule); }
tbody tr + tr > * { border-top: 1px solid var(--rule); } tbody th { font-weight: 500; }
td b { font-weight: 650; }
.range { display: block; color: var(--soft); font-size: .8rem; line-height: 1.3; }
.bar { display: block; position: relative; width: 6.5rem; height: .5rem; margin: .28rem 0 .1rem auto; border-radius: .25rem;
  background: linear-gradient(var(--rule), var(--rule)) center / 100% 1px no-repeat; }
.bar i { position: absolute; top: 25%; height: 50%; border-radius: .2rem; background: var(--accent); opacity: .38; }
.bar u { position: absolute; top: 0; width: .5rem; height: .5rem; margin-left: -.25rem; border-radius: 50%; background: var(--accent); }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); gap: .9rem; margin: .75rem 0; }
figure { margin: 0; padding: .7rem .8rem .4rem; background: var(--panel); border: 1px solid var(--rule); border-radius: .5rem; }
figcaption { font-size: .88rem; font-weight: 600; display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 .8rem; }
figcaption i { font-style: normal; font-weight: 400; color: var(--soft); margin-left: .8rem; }
figcaption i::before { content: ""; display: inline-block; width: .9em; height: .2em; margin-right: .35em;
  vertical-align: middle; border-radius: .1em; background: var(--key); }
img { display: block; width: 100%; height: auto; border-radius: .3rem; } figure.wide { margin: .75rem 0; }
svg { display: block; width: 100%; height: auto; } svg text { font-family: inherit !important; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--accent); padding: .2rem 0; }
details > summary { font-weight: 500; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 0 2.2rem; align-items: start; }
.summaries { display: flex; flex-wrap: wrap; gap: 0 3.5rem; } .summaries > div { max-width: 100%; }
h3 .soft { font-weight: 400; font-size: .88em; margin-left: .35rem; }
.columns h4 { margin: .8rem 0 0; font-size: .92rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem .6rem; font-size: .88rem; margin: .6rem 0; color: var(--soft); }
.legend span { padding: 0 .45rem; border-radius: .25rem; }
.utt { margin: .7rem 0; padding: .75rem .95rem .85rem; background: var(--panel); border: 1px solid var(--rule);
  border-radius: .5rem; }
.utt header { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; font-size: .85rem;
  color: var(--soft); margin-bottom: .4rem; }
.utt header .mono { color: var(--ink); }
.words-aligned { display: flex; flex-wrap: wrap; gap: .35rem .3rem; line-height: 1.35; }
.w { display: inline-grid; padding: .05rem .3rem; border-radius: .25rem; unicode-bidi: isolate; min-width: 1.4em;
  overflow-wrap: anywhere; }
.w > span:last-child { color: var(--soft); }
.w.S { background: var(--sub-bg); } .w.S > span:last-child { color: var(--sub); font-weight: 600; }
.w.D { background: var(--del-bg); } .w.D > span:first-child { color: var(--del); font-weight: 600; text-decoration: line-through; }
.w.I { background: var(--ins-bg); } .w.I > span:last-child { color: var(--ins); font-weight: 600; }
.k-S { background: var(--sub-bg); color: var(--sub); } .k-D { background: var(--del-bg); color: var(--del); text-decoration: line-through; }
.k-I { background: var(--ins-bg); color: var(--ins); }
table.matrix { font-size: .82rem; min-width: 0; } table.matrix td, table.matrix th { padding: .2rem .4rem; }
table.matrix th:first-child { padding-left: 0; } table.matrix thead th { vertical-align: bottom; }
table.matrix td { text-align: center; min-width: 2.1em; } table.matrix td.n { text-align: right; color: var(--soft); padding-right: .8rem; }
table.matrix td.hit { background: rgb(var(--hit) / var(--share)); } table.matrix td.miss { background: rgb(var(--miss) / var(--share)); }
th.up span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 13rem; overflow: hidden; display: inline-block; }
.meter { display: inline-block; width: 5rem; height: .4rem; margin-left: .6rem; border-radius: .2rem; background: var(--rule); vertical-align: middle; }
.meter i { display: block; height: 100%; border-radius: .2rem; background: var(--accent); }
.labels td, .labels th { padding-top: .2rem; padding-bottom: .2rem; } .labels h4 { margin: 1rem 0 0; font-size: .92rem; }
b.right { color: var(--right); } b.wrong { color: var(--del); } table.patterns td { text-align: center; } table.patterns th { text-align: center; }
.said { margin: 0 0 .5rem; font-size: 1.02rem; }
dl.answers { display: grid; grid-template-columns: fit-content(16rem) 1fr; gap: .25rem 1rem; margin: 0; font-size: .92rem; }
dl.answers dt { color: var(--soft); overflow-wrap: anywhere; } dl.answers dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
audio { width: 100%; max-width: 26rem; height: 2.2rem; margin-top: .6rem; display: block; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--rule); font-size: .9rem; color: var(--soft); }
@media (max-width: 34rem) { body { font-size: 15px; } main { padding: 1.4rem 1rem 4rem; } h1 { font-size: 1.5rem; }
  dl.facts, dl.answers { grid-template-columns: 1fr; gap: 0; } dl.facts dd, dl.answers dd { margin-bottom: .4rem; } .bar { width: 5.5rem; }
  th, td { padding-right: .7rem; } }
@media print { .utt, figure { break-inside: avoid; } audio { display: none; } }
"""
