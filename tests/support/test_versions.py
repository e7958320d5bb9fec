"""The versions that the keys of stages and the manifest of a build hold."""

import importlib.metadata
import sys

import grimp
import pytest

from trigger.support.versions import PACKAGES, versions
from trigger.workflow.stages import STAGES

NAMES = {"hgq": "HGQ2", "qkeras": "qkeras-v3", "sklearn": "scikit-learn"}
# What these do shows in no integer, no line of firmware and no figure.
WITHOUT_EFFECT = {
    "filelock",
    # Of protobuf only an error is imported.
    "google",
    "grimp",
    "matplotlib",
    "mplhep",
    "pydantic",
    "pydantic_core",
    "rich",
    "tensorboard",
    "tomlkit",
}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph(
        "trigger",
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )


def libraries(graph, modules):
    used = set().union(*map(graph.find_upstream_modules, modules))
    tops = {name.split(".")[0] for name in used} - {"trigger"} - sys.stdlib_module_names
    return {NAMES.get(name, name) for name in tops}


def test_all_libraries_of_a_stage_count(graph):
    """A new one goes into PACKAGES, or above with the others that change nothing."""
    used = libraries(graph, [module for stage in STAGES for module in stage.code])
    assert used - WITHOUT_EFFECT - set(PACKAGES) == set()
    assert used >= WITHOUT_EFFECT


def test_versions_are_those_installed():
    found = versions()
    assert list(found) == [name for name in PACKAGES if name in found]
    assert {"pyarrow", "h5py", "uproot", "awkward", "jinja2", "scipy"} <= set(found)
    for name, version in found.items():
        assert importlib.metadata.version(name) == version


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert versions() == {}
