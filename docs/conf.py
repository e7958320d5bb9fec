"""The documentation as a site: `make docs` writes it to build/site."""

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


def command_line(_: Sphinx, page: str, source: list[str]) -> None:
    """Fill the page of the command line with what `--help` says of each command."""
    if page == "reference/cli":
        command = get_command(app)
        context = command.make_context("trigger", ["--help"], resilient_parsing=True)
        source[0] += get_docs_for_click(obj=command, ctx=context, name="trigger").partition("\n")[2]


def setup(sphinx: Sphinx) -> None:
    """Called by Sphinx."""
    sphinx.connect("source-read", command_line)
