"""The templates of the pages that people open: one style, one way to write numbers."""

from pathlib import Path

import jinja2

from trigger.support.numbers import plain


def environment() -> jinja2.Environment:
    """The HTML templates of this folder; what is undefined is an error."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    found = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    found.filters["number"] = plain
    found.filters["percent"] = lambda value: f"{100 * value:.2f} %"
    return found
