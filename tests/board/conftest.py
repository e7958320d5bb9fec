"""A build with a payload, made once for all tests of the board."""

import pytest
from made_once import made_once
from payloads import make_trigger

from trigger.artifacts import built_payload
from trigger.artifacts.folder import read_graph
from trigger.backends.rtl import open_project
from trigger.workflow.build import build, open_build


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    base = made_once(
        tmp_path_factory,
        "payload",
        lambda base: build(str(make_trigger(base / "trigger")), base / "build"),
    )
    return open_build(base / "build" / "shelled")


@pytest.fixture(scope="session")
def shell(built):
    """The payload of the build."""
    return built_payload.payload(
        built.root, built.spec, open_project(built.root / "rtl", read_graph(built.root))
    )
