"""The report is one page that needs nothing else and says what was found."""

import re
from html.parser import HTMLParser


class Tags(HTMLParser):
    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page(small_build):
    _, root = small_build
    page = (root / "report" / "index.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    for heading in (
        "What was asked",
        "Budgets",
        "Cost",
        "Performance",
        "Exactness",
        "Network and bit widths",
        "Proof that nothing overflows",
        "Manifest",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<svg") == 4
    assert ">exact</td>" in page
    assert ">different</td>" not in page


def test_the_page_needs_no_network(small_build):
    _, root = small_build
    page = (root / "report" / "index.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert not [tag for tag, _ in tags.seen if tag in ("script", "link", "img", "iframe")]
    # SVG names its namespaces by address; nothing is fetched from them.
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert all(
        a.startswith(("http://www.w3.org/", "http://purl.org/", "http://creativecommons.org/"))
        for a in addresses
    ), addresses


def test_no_path_of_this_machine(small_build):
    _, root = small_build
    assert str(root) not in (root / "report" / "index.html").read_text()
