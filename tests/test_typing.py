"""What type checkers see of the package."""

import tomllib
from importlib import resources
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def test_the_package_says_that_it_has_types():
    assert resources.files("trigger").joinpath("py.typed").is_file()


def test_only_libraries_may_lack_types():
    """A wrong import of a module of ours is an error, and everything is checked strictly."""
    mypy = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert mypy["strict"]
    assert "ignore_missing_imports" not in mypy
    for override in mypy["overrides"]:
        if override.get("ignore_missing_imports"):
            assert not [name for name in override["module"] if name.startswith(("trigger", "*"))]
