"""Jinja templates of code and scripts: what is undefined is an error, and a user's text is data in every language.

A template may write numbers, a word, or what stands between two of them. Any other text goes through the filter of the
place it stands in (``comment``, ``cell``, ``c_string``, ``path``, ``words``, ``toml``), or is ``Code`` that a backend has
made; it is an error otherwise.
"""

import json
import re
from pathlib import Path
from typing import Any

import jinja2
import tomlkit

from trigger.errors import TriggerError, quoted

PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")
_WORD = re.compile(r"[A-Za-z0-9_]+")
_PLAIN = re.compile(r"[A-Za-z0-9_.'+-]*|[0-9a-fx-]+(, [0-9a-fx-]+)*|u?fixed<\d+,-?\d+>|[,;] ?")


class Code(str):
    """Text that is code of the template's language: it is written as it stands."""

    __slots__ = ()


def comment(text: str) -> Code:
    """In a comment to the end of a line, of any language: a word as it is, all else quoted, in ASCII.

    So nothing in it ends the comment, continues it on the next line, or steers a tool that reads comments.
    """
    return Code(text if _WORD.fullmatch(text) else json.dumps(text))


def cell(text: str) -> Code:
    """In a line or a table of Markdown: a word as it is, the punctuation of all else without its meaning."""
    if _WORD.fullmatch(text):
        return Code(text)
    _one_line(text)
    return Code(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text))


def c_string(text: str) -> Code:
    """A string literal of C and C++, in UTF-8."""
    plain = re.compile(r"[A-Za-z0-9_ .,:;<>()\[\]'`=+*/|&!@#$%^{}~-]")
    characters = (
        character
        if plain.fullmatch(character)
        else "".join(f"\\{b:03o}" for b in character.encode())
        for character in text
    )
    return Code(f'"{"".join(characters)}"')


def toml(text: str) -> Code:
    """A string of TOML."""
    return Code(tomlkit.item(text).as_string())


def word(text: str) -> str:
    """``text`` itself, where it is a word. Raises TriggerError otherwise."""
    if not _WORD.fullmatch(text):
        raise TriggerError(
            f"{quoted(text)} cannot be written into generated code; a word is needed"
        )
    return text


def words(text: str) -> Code:
    """Words with single blanks between them, in quotes of any language. Raises TriggerError for anything else."""
    return Code(" ".join(map(word, text.split(" "))))


def path(text: str) -> Code:
    """A path in a script. Raises TriggerError for one with characters that a script might read as its own."""
    if not PLAIN_PATH.fullmatch(text):
        raise TriggerError(
            f"{quoted(text)} cannot be written into a script; use letters, digits and ._-/"
        )
    return Code(text)


def environment(folder: Path) -> jinja2.Environment:
    """Templates in a folder; a block's own line leaves no empty line behind."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=_checked,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - this is not HTML
    )
    found.filters |= {
        "comment": comment,
        "cell": cell,
        "c_string": c_string,
        "path": path,
        "words": words,
        "toml": toml,
    }
    return found


def _checked(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Code) and not _PLAIN.fullmatch(value):
        raise TriggerError(f"{quoted(value)} cannot be written into generated code")
    return value


def _one_line(text: str) -> None:
    if not text.isprintable():
        raise TriggerError(
            f"{quoted(text)} cannot be written into generated code; use printable text"
        )
