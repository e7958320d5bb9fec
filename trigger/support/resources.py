"""The folders models/, firmware/ and synth/, in a checkout or inside the wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """The folder ``models``, ``firmware`` or ``synth`` of this program."""
    shipped = _PACKAGE / "_shipped" / name
    return shipped if shipped.is_dir() else _PACKAGE.parent / name
