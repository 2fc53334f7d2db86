/// Widths from 320 pixels on, light and dark, and paper. Colours come in pairs that differ by 4.5 : 1 or more where
/// they are text, 3 : 1 where they are lines.
let stylesheet: HTML = """
  :root { color-scheme: light dark;
    --paper: #fff; --ink: #1b1f24; --soft: #545d68; --line: #c8d0d9; --panel: #f4f6f8; --accent: #0b62a8;
    --s0: #0068a8; --s1: #b34700; --s2: #00764f; --s3: #9a3b7d; --s4: #7a5c00; --s5: #3f51c9; --s6: #a3262a; --s7: #4a5560;
    --heat: 0 104 168; }
  @media screen and (prefers-color-scheme: dark) { :root {
    --paper: #14171b; --ink: #e6e9ec; --soft: #a5b0bb; --line: #3b444e; --panel: #1d2228; --accent: #7cbcf5;
    --s0: #5ab4f0; --s1: #ff9a5c; --s2: #41d3a2; --s3: #e59acb; --s4: #e3c341; --s5: #a9b4ff; --s6: #ff8f8f; --s7: #b8c2cc;
    --heat: 90 180 240; } }
  * { box-sizing: border-box; }
  html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
  body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 76rem; background: var(--paper); color: var(--ink);
    font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
    overflow-wrap: anywhere; }
  h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; }
  h2 { font-size: 1.3rem; line-height: 1.25; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
  h3 { font-size: 1.08rem; margin: 1.25rem 0 .5rem; }
  h4 { font-size: 1rem; margin: 0 0 .5rem; font-weight: 600; }
  p { margin: 0 0 .75rem; max-width: 46rem; }
  a { color: var(--accent); }
  .lead { font-size: 1.1rem; }
  h4.soft { margin: .75rem 0 .25rem; font-weight: 400; }
  .soft { color: var(--soft); font-size: .9rem; }
  nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
  nav a { display: inline-block; padding: .25rem 0; }
  svg { display: block; }
  table { border-collapse: collapse; margin: 0 0 1rem; }
  caption { text-align: left; color: var(--soft); font-size: .9rem; padding-bottom: .4rem; }
  th, td { text-align: left; vertical-align: top; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); }
  th { font-weight: 600; } th .soft { font-weight: 400; }
  .best { border: 1px solid currentColor; border-radius: .25rem; padding: 0 .3rem; font-size: .85rem; margin-left: .25rem; }
  .interval { margin-top: .2rem; min-width: 8rem; max-width: 16rem; }
  .axis { stroke: var(--line); stroke-width: 1; } .span { stroke: var(--accent); stroke-width: 3; }
  .wide { overflow-x: auto; margin: 0 0 1rem; overflow-wrap: normal; } .wide th { max-width: 12rem; overflow-wrap: break-word; }
  .matrix th, .matrix td { padding: .35rem .6rem; border: 1px solid var(--line); }
  .matrix td { text-align: right; background: rgb(var(--heat) / var(--share)); print-color-adjust: exact; }
  .matrix .right { outline: 2px solid var(--ink); outline-offset: -3px; }
  .charts { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
  .chart { max-width: 34rem; } .chart > svg { width: 100%; height: auto; } .chart h3 { margin-top: 0; }
  .chart text { fill: var(--ink); font-size: 12px; }
  .line { fill: none; stroke-width: 2; } .badge { fill: var(--paper); stroke-width: 2; }
  .s0 { stroke: var(--s0); } .s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); }
  .s4 { stroke: var(--s4); } .s5 { stroke: var(--s5); } .s6 { stroke: var(--s6); } .s7 { stroke: var(--s7); }
  .d1 { stroke-dasharray: 7 3; } .d2 { stroke-dasharray: 2 3; } .d3 { stroke-dasharray: 10 3 2 3; } .d4 { stroke-dasharray: 14 4; }
  .legend { list-style: none; margin: 0 0 .5rem; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; font-size: .9rem; }
  .legend li { display: flex; gap: .4rem; align-items: center; }
  summary { cursor: pointer; color: var(--accent); padding: .25rem 0; }
  @media screen and (max-width: 47.99rem) {
    .stacked, .stacked tbody, .stacked tr, .stacked th, .stacked td, .stacked caption { display: block; }
    .stacked thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    .stacked tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
    .stacked th, .stacked td { border: 0; padding: .15rem 0; }
    .stacked td::before { content: attr(data-label) ": "; color: var(--soft); }
    .interval { max-width: none; } }
  .case { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 0 0 1rem;
    display: grid; gap: 1rem; }
  .case > header > :is(h3, p) { margin: 0; }
  .case > * { min-width: 0; }
  figure { margin: 0; min-width: 0; break-inside: avoid; }
  figure img { display: block; width: 100%; height: auto; border-radius: .25rem; background: var(--line); }
  figcaption { font-size: .9rem; line-height: 1.35; padding-top: .35rem; }
  .maps { display: grid; gap: .9rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, clamp(9.5rem, 20vw, 14rem)), 1fr)); }
  .maps figure { max-width: 22rem; }
  .maps + h4 { margin-top: 1.25rem; }
  @media (min-width: 52rem) { .case { grid-template-columns: 17rem minmax(0, 1fr); } .case > header { grid-column: 1 / -1; } }
  .tags { list-style: none; margin: .35rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem; }
  .tags li { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; font-size: .85rem; background: var(--paper); }
  .bars { list-style: none; margin: .25rem 0 0; padding: 0; font-size: .9rem; }
  .bars li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 .75rem; margin-bottom: .4rem; }
  .bars svg { grid-column: 1 / -1; }
  .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
  .track { fill: var(--line); } .fill { fill: var(--accent); }
  .facts { margin: 0; display: grid; grid-template-columns: minmax(7rem, max-content) minmax(0, 1fr); gap: .3rem 1.25rem; }
  .facts dt { color: var(--soft); } .facts dd { margin: 0; white-space: pre-line; }
  .facts dd.number { text-align: right; }
  figcaption .facts { grid-template-columns: minmax(0, 1fr) auto; gap: 0 .75rem; }
  .scale { max-width: 30rem; margin: 0 0 1rem; } .scale svg { border: 1px solid var(--line); }
  .scale figcaption { display: flex; justify-content: space-between; gap: 1rem; }
  pre { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin: 0 0 .75rem;
    white-space: pre-wrap; font: .9rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
  dialog { border: 1px solid var(--line); border-radius: .5rem; background: var(--paper); color: var(--ink); padding: 1rem;
    max-width: min(96vw, 60rem); }
  dialog::backdrop { background: rgb(0 0 0 / .6); }
  dialog img { display: block; width: min(90vw, 80vh, 56rem); height: auto; max-height: 80vh; object-fit: contain;
    image-rendering: auto; }
  dialog button { font: inherit; float: right; padding: .35rem .9rem; margin-top: .5rem; }
  figure img[role=button] { cursor: zoom-in; }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
  footer { margin-top: 3rem; color: var(--soft); font-size: .9rem; }
  @media print { body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
    h2, h3, h4 { break-after: avoid; } .case { grid-template-columns: 11rem minmax(0, 1fr); break-inside: avoid; }
    .case > header { grid-column: 1 / -1; } .maps { grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); } details { display: none; } }
  """
