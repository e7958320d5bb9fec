"""The documentation as a site: `make docs` writes it to build/site."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.core import publish_parts
from myst_parser.docutils_ import Parser
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from typer.cli import get_docs_for_click
from typer.main import get_command

import trigger
from trigger.cli.app import app
from trigger.frontends import keras_backend

# Without TensorFlow's chatter, which autodoc's import of the quantisers would bring.
keras_backend.start()
project = "trigger"
version = release = trigger.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "trigger: a compiler for level-1 triggers"
html_show_copyright = False
myst_heading_anchors = 3
autodoc_member_order = "bysource"
# The cards of the zoo lie beside their triggers, outside docs/; here they are pages of the site.
MODELS = Path(__file__).resolve().parents[1] / "models"


def command_line(_: Sphinx, page: str, source: list[str]) -> None:
    """Fill the page of the command line with what `--help` says of each command."""
    if page == "reference/cli":
        command = get_command(app)
        context = command.make_context("trigger", ["--help"], resilient_parsing=True)
        source[0] += get_docs_for_click(obj=command, ctx=context, name="trigger").partition("\n")[2]


def card_links(sphinx: Sphinx, page: nodes.document) -> None:
    """Lead the links of a page to cards to their pages on the site."""
    for link in list(page.findall(pending_xref)):
        card = Path(f"{link['reftarget']}.md")
        if card.name == "README.md" and card.parent.parent == MODELS:
            name = f"cards/{card.parent.name}"
            address = sphinx.builder.get_relative_uri(link["refdoc"], name)
            link.replace_self(nodes.reference("", "", *link.children, refuri=address))


def card_pages(_: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Write the page of each card: name, contents and template."""
    for card in sorted(MODELS.glob("*/README.md")):
        text = re.sub(r"\]\(\.\./(\w+)/README\.md", r"](\1.html", card.read_text())
        text = re.sub(r"\]\(\.\./\.\./docs/([^)]*)\.md", r"](../\1.html", text)
        page = publish_parts(
            text,
            parser=Parser(),
            writer="html5",
            settings_overrides={"myst_all_links_external": True},
        )
        contents = {"title": page["title"], "body": page["html_body"]}
        yield f"cards/{card.parent.name}", contents, "page.html"


def setup(sphinx: Sphinx) -> None:
    """Called by Sphinx."""
    sphinx.connect("source-read", command_line)
    sphinx.connect("doctree-read", card_links)
    sphinx.connect("html-collect-pages", card_pages)
