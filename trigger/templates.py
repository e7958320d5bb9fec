"""Jinja templates of code and scripts: what is undefined is an error, and nothing is escaped."""

from pathlib import Path

import jinja2


def environment(folder: Path) -> jinja2.Environment:
    """Templates in a folder; a block's own line leaves no empty line behind."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - this is not HTML
    )
