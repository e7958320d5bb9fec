"""Jinja templates of code and scripts: undefined names are errors, and user text is always data.

A template may write numbers, words and separators. Any other text must pass the filter for its
context (``comment``, ``cell``, ``c_string``, ``path``, ``words``, ``toml``) or be ``Code`` from a
backend; otherwise it is an error.
"""

import json
import re
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
import tomlkit
from jinja2.bccache import Bucket

from trigger.errors import TriggerError, quoted

PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")
_WORD = re.compile(r"[A-Za-z0-9_]+")
_PLAIN = re.compile(r"[A-Za-z0-9_.'+-]*|[0-9a-fx-]+(, [0-9a-fx-]+)*|u?fixed<\d+,-?\d+>|[,;] ?")


class Code(str):
    """Code in the language of the template, written unchanged."""

    __slots__ = ()


def comment(text: str) -> Code:
    """Text for a line comment in any language: a word is unchanged, all else is quoted ASCII.

    It cannot end or continue the comment, or control a tool that reads comments.
    """
    return Code(text if _WORD.fullmatch(text) else json.dumps(text))


def cell(text: str) -> Code:
    """Text for a line or a table of Markdown: a word is unchanged, other text has its punctuation
    escaped.
    """
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
    """``text`` itself. Raises TriggerError unless it is a word."""
    if not _WORD.fullmatch(text):
        raise TriggerError(
            f"{quoted(text)} cannot be written into generated code; a word is needed"
        )
    return text


def words(text: str) -> Code:
    """Words separated by single spaces, for quotes of any language.

    Raises TriggerError for other text.
    """
    return Code(" ".join(map(word, text.split(" "))))


def path(text: str) -> Code:
    """A path in a script. Raises TriggerError for characters that a script might interpret."""
    if not PLAIN_PATH.fullmatch(text):
        raise TriggerError(
            f"{quoted(text)} cannot be written into a script; use letters, digits and ._-/"
        )
    return Code(text)


class _InMemory(jinja2.BytecodeCache):
    """What this process has compiled, by the template and its text."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


# Compiling a template takes longer than filling it in. The filters are those of each environment.
COMPILED = _InMemory()


def environment(folder: Path) -> jinja2.Environment:
    """Templates in a folder; lines that hold only a block leave no empty line."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=_checked,
        trim_blocks=True,
        keep_trailing_newline=True,
        bytecode_cache=COMPILED,
        autoescape=False,  # noqa: S701 - this is not HTML
    )
    templates.filters |= {
        "comment": comment,
        "cell": cell,
        "c_string": c_string,
        "path": path,
        "words": words,
        "toml": toml,
    }
    return templates


def _checked(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Code) and not _PLAIN.fullmatch(value):
        raise TriggerError(f"{quoted(value)} cannot be written into generated code")
    return value


def _one_line(text: str) -> None:
    if not text.isprintable():
        raise TriggerError(
            f"{quoted(text)} cannot be written into generated code; use printable text"
        )
