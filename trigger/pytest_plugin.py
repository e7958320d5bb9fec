"""The pytest plugin: ``pytest --trigger build/x``, and fixtures for tests of one's own. Imports nothing until it is used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trigger.errors import TriggerError

if TYPE_CHECKING:
    from trigger.folder import Build


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("trigger").addoption(
        "--trigger",
        action="append",
        default=[],
        type=Path,
        metavar="BUILD",
        help="a build folder of the trigger compiler: each of its implementations against its network is a test; repeatable",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the tests of the builds, before any selection of tests by name."""
    for folder in config.getoption("--trigger"):
        try:
            items.extend(
                _BuildTests.from_parent(
                    session, name=folder.name, nodeid=f"trigger/{folder.name}", folder=folder
                ).collect()
            )
        except TriggerError as error:
            raise pytest.UsageError(str(error)) from error


class _BuildTests(pytest.Collector):
    """The tests of one build folder."""

    def __init__(self, *, folder: Path, **rest: Any) -> None:
        super().__init__(**rest)
        self.folder = folder

    def collect(self) -> Iterator[pytest.Item]:
        from trigger.build import open_sealed
        from trigger.checks import implementations

        this = open_sealed(self.folder)
        for name, make in implementations(this.root, this.spec).items():
            yield _Equality.from_parent(
                self, name=f"{name} equals Keras", what=name, make=make, build=this
            )


class _Equality(pytest.Item):
    """One implementation against the integers that Keras gave when the build was made."""

    def __init__(self, *, what: str, make: Callable[[], Any], build: "Build", **rest: Any) -> None:
        super().__init__(**rest)
        self._what, self._make, self._build = what, make, build

    def runtest(self) -> None:
        from trigger.checks import compare_with, recorded_expectations
        from trigger.folder import read_graph

        root = self._build.root
        verdict = compare_with(
            read_graph(root), recorded_expectations(root), {self._what: self._make()}
        )
        if not verdict:
            raise _NotExact(str(verdict))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The witness alone; a traceback through this program tells its reader nothing."""
        if isinstance(excinfo.value, _NotExact | TriggerError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self._build.root, None, f"{self._build.spec.name}: {self.name}"


class _NotExact(AssertionError):
    """Its text is the verdict."""


@pytest.fixture(scope="session")
def trigger_build(request: pytest.FixtureRequest) -> Callable[[str | Path], Path]:
    """A function from a trigger (a zoo name, a folder, a trigger.toml) to its finished build folder.

    Builds are kept in pytest's cache: the next run redoes only what has changed.
    """

    def build(target: str | Path) -> Path:
        from trigger.build import build as run

        return run(str(target), Path(request.config.cache.mkdir("trigger")))

    return build


@pytest.fixture(scope="session")
def assert_bit_exact() -> Callable[[Any, Any, Any], None]:
    """``trigger.testing.assert_bit_exact``."""
    from trigger.testing import assert_bit_exact

    return assert_bit_exact
