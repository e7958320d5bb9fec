"""The templates of the HTML pages, with a common style and number format."""

from pathlib import Path

import jinja2

from trigger.support.numbers import plain
from trigger.support.templates import COMPILED


def environment() -> jinja2.Environment:
    """The HTML templates of this folder; undefined names are errors."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    templates = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        bytecode_cache=COMPILED,
    )
    templates.filters["number"] = plain
    templates.filters["percent"] = lambda value: f"{100 * value:.2f} %"
    return templates
