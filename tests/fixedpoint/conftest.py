"""The fixed-point graph needs no Keras, so that its tests are run in seconds: `make test-core`."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _keras():
    """In place of the fixture that starts Keras for all other tests."""
