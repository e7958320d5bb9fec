"""A finished build in Python: its verdict, its figures, and its report."""

from pathlib import Path

from trigger.artifacts.folder import Build
from trigger.artifacts.outcome import EXACT, Outcome, lines, outcome, summary
from trigger.support import html
from trigger.support.progress import shown
from trigger.synthesis.budget import Figure
from trigger.workflow.build import open_sealed
from trigger.workflow.prove import EVERYTHING


class Report:
    """The outcome of a finished build, as ``trigger show`` and the report page tell it.

    It is true if the build is exact and within its budgets, and ``str()`` of it is the text of
    ``trigger show``. Each of its figures has a ``value`` and an ``origin``. Raises TriggerError if
    the folder holds no finished build, or if a file of it was edited.
    """

    def __init__(self, folder: str | Path) -> None:
        self._build: Build = open_sealed(Path(folder), EVERYTHING)
        self._outcome: Outcome = outcome(self._build)

    @property
    def page(self) -> Path:
        """The page to open in a browser."""
        return self._build.root / "report" / "index.html"

    @property
    def verdict(self) -> str:
        """Whether the firmware is the network, in a sentence."""
        return self._outcome.headline.text

    @property
    def figures(self) -> dict[str, Figure]:
        """Latency, clock and area by name."""
        return self._outcome.figures

    def __bool__(self) -> bool:
        return self._outcome.headline.kind == EXACT

    def __str__(self) -> str:
        return summary(self._build, self._outcome)

    def __repr__(self) -> str:
        return f"Report({shown(self._build.root)!r})"

    def _repr_html_(self) -> str:
        """Verdict and figures for a notebook."""
        rows = lines(self._build, self._outcome)
        return "".join(
            [
                html.paragraph(f"{self._build.spec.name}: {self.verdict}"),
                html.notes([f"warning: {warning}" for warning in self._outcome.warnings]),
                html.table(("", "figure", "budget"), rows),
                html.notes([f"report: {shown(self.page)}"]),
            ]
        )
