/** How the page looks, by day and by night. It is sent inside the page, which fetches nothing. */
export const STYLE = `
:root { color-scheme: light dark; --ground: #fff; --raised: #f5f6f8; --line: #dcdfe5; --ink: #1a1d23; --soft: #545c69; --accent: #0b57d0;
  --get: #0b6b3a; --post: #0b57d0; --put: #8a4b00; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ground: #14161a; --raised: #1d2026; --line: #343942; --ink: #e6e8ec; --soft: #a4acb9;
  --accent: #8ab4f8; --get: #6fd39b; --post: #8ab4f8; --put: #f0b267; --delete: #f2908a; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: .5rem 1rem; z-index: 1; }
.frame { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 86rem; margin: 0 auto; }
nav { position: sticky; top: 0; align-self: start; height: 100vh; overflow: auto; padding: 2rem 1rem 2rem 1.5rem; border-right: 1px solid var(--line); font-size: .9rem; }
nav h2 { font-size: .75rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); margin: 1.4rem 0 .3rem; border: 0; padding: 0; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .16rem 0; color: var(--ink); text-decoration: none; }
nav a:hover { color: var(--accent); text-decoration: underline; }
main { padding: 2rem 2.5rem 6rem; min-width: 0; }
a { color: var(--accent); }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.45rem; margin: 3.2rem 0 .8rem; padding-top: 1.4rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.12rem; margin: 1.8rem 0 .4rem; }
h4 { font-size: .95rem; margin: 1.5rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.soft { color: var(--soft); }
.lead { font-size: 1.1rem; color: var(--soft); }
article { margin: 2.2rem 0 3rem; }
article > h3 { font-size: 1.25rem; margin-top: 0; }
code, pre { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: .86em; }
code { background: var(--raised); border-radius: .25rem; padding: .08em .3em; overflow-wrap: anywhere; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: .4rem; padding: .8rem 1rem; overflow: auto; line-height: 1.45; margin: .5rem 0; max-height: 30rem; }
pre code { background: none; padding: 0; overflow-wrap: normal; }
.path { display: flex; gap: .7rem; align-items: baseline; background: var(--raised); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .9rem; margin: .6rem 0 1rem; }
.path code { background: none; padding: 0; font-size: .92rem; }
.method { font-weight: 700; font-size: .8rem; letter-spacing: .04em; }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); } .delete { color: var(--delete); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; min-width: 36rem; font-size: .92rem; margin: .4rem 0; }
th, td { text-align: left; vertical-align: top; padding: .45rem .9rem .45rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); font-size: .82rem; white-space: nowrap; }
td:first-child { white-space: nowrap; }
.word { white-space: nowrap; }
.values td:first-child { width: 13rem; } .values td:nth-child(2) { width: 18rem; }
.errors td:first-child { width: 4rem; } .errors td:nth-child(2) { width: 50%; }
.must { color: var(--delete); font-size: .78rem; font-weight: 600; margin-left: .35rem; }
.facts { color: var(--soft); font-size: .86rem; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--accent); font-size: .92rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
@media (max-width: 60rem) { .frame { display: block; } nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); } main { padding: 1.5rem 1.2rem 4rem; }
  nav { columns: 2; } nav h2 { break-after: avoid; } nav h2:first-child { margin-top: 0; }
  .values td:first-child, .values td:nth-child(2) { width: auto; min-width: 9rem; } }
@media print { nav { display: none; } .frame { display: block; } pre { max-height: none; } }
`
