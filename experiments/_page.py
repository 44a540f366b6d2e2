"""One page that shows the figures and claims of all experiments that were run."""

import json
from html import escape
from pathlib import Path


_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>jaxnet experiments</title>
<style>
body { font-family: sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
img { width: 24rem; max-width: 100%; vertical-align: top; }
video { width: 48rem; max-width: 100%; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
td, th { border-bottom: 1px solid #ccc; padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; }
.fails { color: #b00; font-weight: bold; }
</style>
<h1>jaxnet experiments</h1>
"""


def write_page(out: Path) -> Path:
    """Write ``index.html`` from every ``metrics.json`` below a folder."""
    sections = [
        _section(path.parent.name, json.loads(path.read_text()))
        for path in sorted(out.glob("*/metrics.json"))
    ]
    page = out / "index.html"
    page.write_text(_HEAD + "\n".join(sections) + "</html>\n")
    return page


def _section(name: str, metrics: dict) -> str:
    size = "quick" if metrics["quick"] else "full"
    images = "".join(
        f'<img src="{name}/{figure}" alt="{escape(figure)}">'
        for figure in metrics["figures"]
    )
    videos = "".join(
        f'<video src="{name}/{video}" controls autoplay loop muted></video>'
        for video in metrics.get("animations", [])
    )
    rows = "".join(_row(claim) for claim in metrics["claims"])
    return (
        f'<h2 id="{name}">{escape(metrics["title"])}</h2>'
        f"<p><code>{name}</code>, {size}, seed {metrics['seed']}, "
        f"{metrics['seconds']} s</p>"
        f"{images}{videos}<table><tr><th>claim<th>expected<th>got<th>verdict</tr>{rows}</table>"
    )


def _row(claim: dict) -> str:
    verdict = "<td>holds" if claim["holds"] else '<td class="fails">fails'
    cells = "".join(f"<td>{escape(claim[key])}" for key in ("statement", "expected", "got"))
    return f"<tr>{cells}{verdict}</tr>"
