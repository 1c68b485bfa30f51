"""Look at a page with a headless chromium: what it logs, and where its texts lie at several widths."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)

FLAGS = (
    "--headless",
    "--no-sandbox",  # inside a container it cannot make one; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=4000",
    "--enable-logging=stderr",
    "--window-size=1400,900",
)

SMALLEST = 10.0
"""CSS pixels of 7.5 points."""

PRINTED_WIDTH = 718
"""CSS pixels between the margins of A4 in ``style.css``: 190 mm."""

MEASURE = """
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const boxes = [], outside = [], sizes = [], squeezed = [];
while (texts.nextNode()) {
  const node = texts.currentNode, parent = node.parentElement;
  if (!node.data.trim() || parent.closest('script, style, title, desc, .unseen')) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  const inside = parent.namespaceURI.endsWith('svg');
  const scale = inside ? parent.getScreenCTM().a : 1;
  sizes.push([scale * parseFloat(getComputedStyle(parent).fontSize), node.data.trim()]);
  if (inside) {
    const own = parent.getBoundingClientRect(), chart = parent.ownerSVGElement.getBoundingClientRect();
    if (own.left < chart.left - 0.5 || own.right > chart.right + 0.5 || own.top < chart.top - 0.5
      || own.bottom > chart.bottom + 0.5) outside.push(node.data.trim());
  }
  for (const box of inside ? [parent.getBoundingClientRect()] : range.getClientRects())
    if (box.right > 0 && box.width > 1) boxes.push([box.left, box.top, box.right, box.bottom, node.data.trim()]);
  const lines = range.getClientRects().length;
  if (lines > 2 && node.data.trim().length < 4 * lines) squeezed.push(node.data.trim());
}
const met = [], cut = boxes.filter(box => box[2] > innerWidth + 1 || box[0] < -1).map(box => box[4]);
boxes.forEach((one, place) => boxes.slice(place + 1).forEach(other => {
  const across = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  if (across > 2 && Math.min(one[3], other[3]) - Math.max(one[1], other[1]) > 2.5) met.push([one[4], other[4]]);
}));
parent.postMessage({name: window.name, width: innerWidth, scroll: document.documentElement.scrollWidth,
  texts: boxes.length, outside: outside, smallest: sizes.sort((one, other) => one[0] - other[0])[0],
  met: met.slice(0, 5), cut: cut.slice(0, 5), squeezed: squeezed}, '*');
"""


def _open(html: str, folder: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Open a page, written into a folder, with the browser's words."""
    assert CHROMIUM is not None
    page = Path(folder) / "page.html"
    page.write_text(html, encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}/profile", *words, page.as_uri()]
    return subprocess.run(command, capture_output=True, check=True, timeout=120, encoding="utf-8")


def browse(html: str) -> tuple[str, list[str]]:
    """Open a page and return its document as the browser leaves it, and what the console said."""
    with tempfile.TemporaryDirectory() as folder:
        done = _open(html, folder, "--dump-dom")
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def browse_all(pages: Sequence[str]) -> tuple[list[str], list[str]]:
    """Open pages beside each other, each under its own policy; return their documents, and what the console said."""
    documents = "[...document.querySelectorAll('iframe')].map(page => page.contentDocument.documentElement.outerHTML)"
    gather = f"addEventListener('load', () => report({documents}));"
    return _open_frames([f'<iframe srcdoc="{escape(html)}"></iframe>' for html in pages], gather)


def count_sheets(html: str) -> int:
    """Print a page and count its sheets of paper."""
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder) / "page.pdf"
        _open(html, folder, f"--print-to-pdf={printed}", "--no-pdf-header-footer")
        return len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))


def measure_all(pages: Sequence[str], widths: dict[str, int]) -> list[dict[str, Any]]:
    """Lay copies of pages out at every width, in one browser; where it is ``printed``, with the styles of print.

    Returns:
        For every page, by name of the width: its own and its scroll width, how many texts it has, which of them meet or
        are cut, which leave their chart, which have fewer than four letters a line, and the smallest with its size in
        pixels.
    """
    style = "width:{}px;height:800px"
    frames = [
        f'<iframe name="{at} {name}" style="{style.format(width)}" srcdoc="{escape(_copy(html, name))}"></iframe>'
        for at, html in enumerate(pages)
        for name, width in widths.items()
    ]
    gather = "const found = {}; addEventListener('message', ({data}) => { found[data.name] = data; report(found); });"
    found, _ = _open_frames(frames, gather)
    return [{name: found[f"{at} {name}"] for name in widths} for at in range(len(pages))]


def _open_frames(frames: Iterable[str], gather: str) -> tuple[Any, list[str]]:
    """Open a page of frames; return what its script reports, and what the console said."""
    report = "const report = found => { document.getElementById('found').textContent = JSON.stringify(found); };"
    document, said = browse(
        f'<style>iframe {{ border: 0 }}</style><pre id="found"></pre><script>{report}{gather}</script>{"".join(frames)}'
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', document, re.DOTALL)
    assert found is not None
    return json.loads(unescape(found.group(1))), said


def _copy(html: str, name: str) -> str:
    """The page without its policy, which allows no script, and with a script that measures."""
    copied = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    if name == "printed":
        copied = copied.replace("@media print", "@media all").replace("@media screen", "@media speech")
    return copied.replace("</body>", f"<script>addEventListener('load', () => {{{MEASURE}}})</script></body>")
