"""The report in a real browser: at two widths, in both themes, from disk."""

import csv
import io
import re
import shutil
import sys
from base64 import b64decode
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import numpy as np
import pytest

from trigger.artifacts.folder import integer_events, read_json
from trigger.artifacts.outcome import outcome
from trigger.physics.metrics import curves_of
from trigger.workflow.build import open_build

sys.path.insert(0, str(Path(__file__).parent))
from browser import Browser, found

pytestmark = pytest.mark.skipif(found() is None, reason="needs Chromium (apt install chromium)")

# The contrast of what is read (WCAG 2.2, level AA), and of graphics.
TEXT, GRAPHICS = 4.5, 3
# The contrast of each text with what is behind it, for those that fall short.
FAINT = """
(least => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("main *, nav *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || element.closest("script, style") || element.getClientRects().length === 0) continue;
    const inside = element.closest("svg");
    const style = getComputedStyle(element);
    if (inside && element.style.fill) continue;  // on a colour of the plot
    const pair = [parse(inside ? style.fill : style.color), behind(inside || element)].map(light);
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < least) faint.push([element.tagName, element.textContent.slice(0, 40), contrast]);
  }
  return faint;
})(%s)
"""
LINES = """
[...document.querySelectorAll("figure svg *")].filter(one => {
  const stroke = one.style.stroke || one.getAttribute("stroke");
  return stroke === "currentcolor" || stroke === "currentColor";
}).map(one => getComputedStyle(one).stroke)
"""


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def root(_small_build):
    return _small_build[1]


@pytest.fixture
def page(browser, root):
    browser.open(root / "report" / "index.html")
    return browser


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1400, 800])
def test_it_fits_and_is_legible(browser, root, width, dark):
    browser.open(root / "report" / "index.html", width, dark)
    assert browser.complaints == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(FAINT % TEXT) == []
    wide = "[...document.querySelectorAll('figure svg')].filter(s => s.clientWidth < 1).length"
    assert browser.run(wide) == 0
    # Axes are drawn in the colour of the text.
    ink = browser.run("getComputedStyle(document.body).color")
    assert set(browser.run(LINES)) == {ink}
    assert (ink == "rgb(27, 31, 36)") != dark


def test_faint_text_is_found(page):
    """Or the test above would say nothing."""
    page.run("document.querySelector('h1').style.color = '#999999'")
    assert [(tag, text) for tag, text, _ in page.run(FAINT % TEXT)] == [("H1", "small")]


def test_the_contents_name_every_section(page):
    links = page.run("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
    sections = page.run("[...document.querySelectorAll('section')].map(s => '#' + s.id)")
    assert links == sections and len(set(links)) == len(links) == 9
    titles = page.run("[...document.querySelectorAll('nav a')].map(a => a.textContent)")
    assert titles == page.run(
        "[...document.querySelectorAll('section h2')].map(h => h.textContent)"
    )


def test_every_file_of_the_build_is_linked(page, root):
    links = page.run("[...document.querySelectorAll('main a:not([download])')].map(a => a.href)")
    linked = {Path(link.removeprefix("file://")).relative_to(root).as_posix() for link in links}
    assert all((root / path).is_file() for path in linked)
    sealed = set(read_json(root / "manifest.json")["files"])
    assert linked == {p for p in sealed if not p.startswith("report/")} | {
        "manifest.json",
        "stages.json",
        "seconds.json",
    }


def test_it_says_when_where_and_how_it_was_built(browser, root):
    browser.open(root / "made.html")
    said = browser.run("document.body.textContent.trim()")
    assert re.fullmatch(
        r"Built on \d{4}-\d\d-\d\d \d\d:\d\d UTC on .+ \(Linux .+, \d+ CPUs\) "
        r"with trigger build \S+ --output \S+",
        said,
    )
    browser.open(root / "report" / "index.html")
    assert said.partition(" with ")[2] not in browser.run("document.documentElement.outerHTML")
    frame = browser.run("document.querySelector('iframe').getBoundingClientRect().toJSON()")
    assert frame["width"] > 700 and 40 < frame["height"] < 60


def test_what_is_not_sealed_cannot_change_the_page(browser, root, tmp_path):
    """An edited record may not touch the verdict, even where both come from one server."""
    shutil.copytree(root / "report", tmp_path / "report")
    script = "parent.document.querySelector('h1').textContent = 'changed'"
    (tmp_path / "made.html").write_text(f"<p>here<script>{script}</script>")
    handler = partial(Quiet, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/report/index.html"
        browser.open(address)
        assert browser.run("document.querySelector('h1').textContent") == "small"
        page = tmp_path / "report" / "index.html"
        page.write_text(page.read_text().replace(" sandbox ", " "))
        browser.open(address)
        assert browser.run("document.querySelector('h1').textContent") == "changed"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """A server that writes no log, and whose files are always read again."""

    def log_message(self, *arguments):
        pass

    def end_headers(self):
        self.send_header("Cache-Control", "no-store")
        super().end_headers()


def test_the_numbers_of_a_figure(page, root):
    """The CSV file of the ROC curves has the curves, that of the matrix its numbers, to six digits."""
    build = open_build(root)
    result, test = outcome(build), integer_events(build)["test"]
    rows = table(page, "roc-1")
    head = result.heads[0].head
    for label, scores in result.scores.items():
        curve = curves_of(scores, test, head)["signal"]
        own = [row for row in rows if row["network"] == label]
        assert {row["class"] for row in own} == {"signal"}
        x = np.linspace(0, 1, len(own))
        drawn = zip(x, np.interp(x, curve.efficiency, curve.background), strict=True)
        assert [(row["signal efficiency"], row["background efficiency"]) for row in own] == [
            (f"{efficiency:.6g}", f"{background:.6g}") for efficiency, background in drawn
        ]
    given = result.scores["csim"].argmax(axis=1)
    for row in table(page, "confusion-1"):
        here = test.y == head.classes.index(row["true class"])
        assert int(row["test events"]) == here.sum()
        share = np.mean(given[here] == head.classes.index(row["given class"]))
        assert row["fraction of the true class"] == f"{share:.6g}"
    layers = {row["layer"]: int(row["FF"]) for row in table(page, "ff-by-layer")}
    assert layers == read_json(root / "rtl" / "rtl.json")["estimate"]["ff_layers"]


def test_every_figure_is_saved_as_png(page):
    names = page.run("[...document.querySelectorAll('[data-png]')].map(b => b.dataset.png)")
    assert len(names) == page.run("document.querySelectorAll('figure').length") > 10
    for name in names:
        address = page.run(f"asPng('{name}')")
        data = b64decode(address.removeprefix("data:image/png;base64,"))
        assert data.startswith(b"\x89PNG")
        view = page.run(f"document.querySelector('#figure-{name} svg').getAttribute('viewBox')")
        width, height = (int.from_bytes(data[k : k + 4], "big") for k in (16, 20))
        expected = [3 * float(part) for part in view.split()[2:]]
        assert (width, height) == tuple(int(part) for part in expected)
    assert page.complaints == []


def table(page, name):
    address = page.run(f"document.querySelector('#figure-{name} a[download]').href")
    with urlopen(address) as file:
        return list(csv.DictReader(io.StringIO(file.read().decode())))
