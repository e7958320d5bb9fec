"""Files that a user's model runs: known from its source, or refused; never as old bytecode."""

import importlib.util
import os
import py_compile
import sys

import pytest

from trigger import TriggerError
from trigger.support.user_code import importable


def run(path):
    """As the network's file is run: its module, made inside ``importable``."""
    with importable(path):
        spec = importlib.util.spec_from_file_location("_a_model", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def folder(tmp_path, **sources):
    for name, text in sources.items():
        path = tmp_path / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "model.py"


@pytest.fixture(autouse=True)
def _own_modules():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["model", "helper_of_mine"])
def test_bytecode_older_than_its_source(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = folder(tmp_path, model="import helper_of_mine\nOWN = 4", helper_of_mine="UNITS = 4")
    source = tmp_path / f"{name}.py"
    py_compile.compile(str(source))
    then = source.stat()
    source.write_text(source.read_text().replace("4", "5"))
    os.utime(source, ns=(then.st_atime_ns, then.st_mtime_ns))
    module = run(path)
    assert ((5, 4) if name == "model" else (4, 5)) == (module.OWN, module.helper_of_mine.UNITS)


SEEN = {
    "import": "import helper_of_mine",
    "inside a function": "def f():\n    import helper_of_mine\nf()",
    "import_module": "import importlib; importlib.import_module('helper_of_mine')",
}
UNSEEN = {
    "a keyword": "import importlib; importlib.import_module(name='helper_of_mine')",
    "another name": "from importlib import import_module as load; load('helper_of_mine')",
    "a variable": "import importlib; NAME = 'helper_of_mine'; importlib.import_module(NAME)",
    "exec": "exec('import helper_of_mine')",
    "run_path": "import runpy; runpy.run_path(HERE + '/helper_of_mine.py')",
    "exec of a file": (
        "import pathlib; FILE = HERE + '/helper_of_mine.py'; "
        "exec(compile(pathlib.Path(FILE).read_text(), FILE, 'exec'))"
    ),
}


@pytest.mark.parametrize("way", SEEN)
def test_a_helper_that_the_source_names(tmp_path, way):
    run(folder(tmp_path, model=SEEN[way], helper_of_mine="UNITS = 4"))


@pytest.mark.parametrize("way", UNSEEN)
def test_a_helper_that_the_source_does_not_name(tmp_path, way):
    here = f"HERE = {str(tmp_path)!r}\n"
    path = folder(tmp_path, model=here + UNSEEN[way], helper_of_mine="UNITS = 4")
    with pytest.raises(TriggerError) as refusal:
        run(path)
    assert str(refusal.value) == (
        f"{path}: runs {tmp_path / 'helper_of_mine.py'} in a way that its source does not show, so that "
        "the network would not be trained again after an edit there; put that file beside model.py "
        "and import it by its name"
    )


def test_a_folder_that_the_model_adds_to_the_path(tmp_path):
    text = f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r}); import helper_of_mine"
    path = folder(tmp_path, model=text, lib__helper_of_mine="UNITS = 4")
    before = sys.path[:]
    with pytest.raises(TriggerError, match="lib/helper_of_mine.py in a way"):
        run(path)
    assert sys.path == before


def test_a_package_of_links(tmp_path):
    path = folder(
        tmp_path, model="from a_package.inner import helper", elsewhere__helper="UNITS = 4"
    )
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").touch()
    (tmp_path / "a_package" / "inner").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TriggerError, match="elsewhere/helper.py in a way"):
        run(path)


def test_installed_packages_and_this_program(tmp_path):
    run(folder(tmp_path, model="import colorsys, tomlkit\nimport trigger.support.numbers"))
