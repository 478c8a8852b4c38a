/// The look of a report: readable in light and dark, on a phone, and in print.
enum ReportStyle {
  static let css = """
    :root { color-scheme: light dark; --ink: #1d2430; --soft: #5a6573; --paper: #fbfaf7;
      --card: #ffffff; --line: #d9dce1; --heat: 31, 111, 235;
      --c0: #1f6feb; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce; --c4: #db2777; --c5: #64748b; }
    @media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa6b5;
      --paper: #12161c; --card: #1a2029; --line: #333c48; --heat: 59, 130, 246;
      --c0: #60a5fa; --c1: #fb923c; --c2: #4ade80; --c3: #c084fc; --c4: #f472b6; --c5: #94a3b8; } }
    * { box-sizing: border-box; }
    body { margin: 0 auto; padding: 1.2rem; max-width: 62rem; background: var(--paper);
      color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
    h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
    p { overflow-wrap: anywhere; }
    header p { color: var(--soft); margin: .2rem 0 1rem; }
    section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
      padding: 1rem; margin: 0 0 1rem; }
    .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr));
      gap: .6rem; margin: 0 0 1rem; }
    .tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
      padding: .6rem .8rem; }
    .tile b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
    .tile span { color: var(--soft); font-size: .85rem; }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
    th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
      white-space: nowrap; }
    th { color: var(--soft); font-weight: 600; }
    .word { text-align: left; }
    code, pre { font: .85rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; white-space: normal; }
    pre { white-space: pre-wrap; margin: 0; }
    figure { margin: 0 0 1rem; }
    svg { width: 100%; height: auto; display: block; overflow: visible; }
    figcaption { font-size: .9rem; margin: 0 0 .4rem; }
    .grid { stroke: var(--line); stroke-width: 1; }
    .tick { fill: var(--soft); font: 11px system-ui, sans-serif; } .end { text-anchor: end; }
    .series { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
    .block { stroke: var(--card); stroke-width: .5; fill-opacity: .8; }
    .key { display: inline-block; width: .8em; height: .8em; border-radius: .2em;
      margin: 0 .3em 0 .7em; }
    .series.c0 { stroke: var(--c0); } .series.c1 { stroke: var(--c1); }
    .series.c2 { stroke: var(--c2); } .series.c3 { stroke: var(--c3); }
    .series.c4 { stroke: var(--c4); } .series.c5 { stroke: var(--c5); }
    .block.c0 { fill: var(--c0); } .block.c1 { fill: var(--c1); } .block.c2 { fill: var(--c2); }
    .block.c3 { fill: var(--c3); } .block.c4 { fill: var(--c4); } .block.c5 { fill: var(--c5); }
    .key.c0 { background: var(--c0); } .key.c1 { background: var(--c1); }
    .key.c2 { background: var(--c2); } .key.c3 { background: var(--c3); }
    .key.c4 { background: var(--c4); } .key.c5 { background: var(--c5); }
    .confusion td { text-align: center; }
    .wide { width: 100%; } .bars { width: 35%; }
    .bar { display: inline-block; height: .7em; background: var(--c0);
      border-radius: .2em; }
    .name { white-space: nowrap; }
    @media (max-width: 34rem) { body { padding: .6rem; } section { padding: .7rem; }
      .tick { font-size: 20px; } .series { stroke-width: 3; }
      th, td { padding: .2rem .4rem; }
      .confusion { font-size: .8rem; } .confusion td, .confusion th { padding: .2rem .3rem; } }
    @media print { :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff;
      --card: #fff; --line: #bbb; --c0: #1f6feb; --c1: #c2410c; --c2: #15803d; --c3: #7e22ce;
      --c4: #db2777; --c5: #64748b; --heat: 31, 111, 235; }
      body { max-width: none; padding: 0; font-size: 11pt; }
      section { border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: .8rem 0 0; }
      .tile, figure, tr, .confusion, table:not(:has(tr:nth-child(13))) { break-inside: avoid; }
      h2, figcaption, h2 + p { break-after: avoid; } pre { orphans: 9; widows: 4; } .scroll { overflow: visible; }
      .block, .key, .bar, td { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
    """
}
