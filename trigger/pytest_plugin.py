"""The pytest plugin: ``pytest --trigger build/x``, and fixtures. It imports the package on
demand.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trigger.errors import TriggerError

if TYPE_CHECKING:
    from trigger.artifacts.folder import Build


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("trigger").addoption(
        "--trigger",
        action="append",
        default=[],
        type=Path,
        metavar="BUILD",
        help="a build folder of the trigger compiler: each of its implementations "
        "against its network is a test; repeatable",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the tests of the builds, before pytest selects tests by name."""
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
        from trigger.artifacts.implementations import implementations
        from trigger.workflow.build import open_sealed, seal_first

        build = open_sealed(self.folder)
        with seal_first(build.root):
            makers = implementations(build.root, build.spec)
        for name, make in makers.items():
            compare = partial(_implementation, build.root, name, make)
            yield _Equality.from_parent(
                self, name=f"{name} equals Keras", compare=compare, build=build
            )
        yield _Equality.from_parent(
            self,
            name="the trained network agrees",
            compare=partial(_trained_network, build.root),
            build=build,
        )


class _Equality(pytest.Item):
    """One comparison with the network of a build; ``compare`` returns a text if it differs."""

    def __init__(self, *, compare: Callable[[], str], build: "Build", **rest: Any) -> None:
        super().__init__(**rest)
        self._compare = compare
        self._build = build

    def runtest(self) -> None:
        if different := self._compare():
            raise _NotExact(different)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Only the witness: a traceback through this program would not help."""
        if isinstance(excinfo.value, _NotExact | TriggerError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self._build.root, None, f"{self._build.spec.name}: {self.name}"


def _implementation(root: Path, name: str, make: Callable[[], Any]) -> str:
    """One implementation against the integers of Keras recorded by the build."""
    from trigger.artifacts.folder import read_graph
    from trigger.artifacts.implementations import compare_with, recorded_expectations
    from trigger.workflow.build import seal_first

    with seal_first(root):
        made = make()
    verdict = compare_with(read_graph(root), recorded_expectations(root), {name: made})
    return "" if verdict else str(verdict)


def _trained_network(root: Path) -> str:
    """The graph against the outputs of the trained network recorded by the build."""
    from trigger.artifacts.implementations import trained_network
    from trigger.verification.compare import Verdict

    own = trained_network(root).comparison
    return "" if own.equal else str(Verdict((own,), own.events))


class _NotExact(AssertionError):
    """Its text is the verdict."""


@pytest.fixture(scope="session")
def trigger_build(request: pytest.FixtureRequest) -> Callable[[str | Path], Path]:
    """A function from a trigger (a zoo name, a folder, a trigger.toml) to its finished build
    folder.

    Builds are kept in pytest's cache, so the next run redoes only what has changed.
    """

    def build(target: str | Path) -> Path:
        from trigger.workflow.build import build as run

        return run(str(target), Path(request.config.cache.mkdir("trigger")))

    return build


@pytest.fixture(scope="session")
def assert_bit_exact() -> Callable[[Any, Any, Any], None]:
    """``trigger.testing.assert_bit_exact``."""
    from trigger.testing import assert_bit_exact

    return assert_bit_exact
