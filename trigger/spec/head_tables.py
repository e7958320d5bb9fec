"""The table ``heads`` of trigger.toml: the outputs of a network that learns several things at once;
and the same view of a network with one head.
"""

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from trigger.errors import quoted
from trigger.spec.tables import Finite, Name, Positive, Section

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


class Head(Section):
    """What one output of the network learns: classes, or a number (``regression``).

    ``label`` is its column of the event files. Where the column ``mask`` is 0 an event has no truth
    for this head. ``bins`` are edges of the truth for the figures of a regression, which never
    decreases where one of the features ``monotone`` rises, and ends in a table by isotonic
    regression on the validation events with ``calibration``.
    """

    task: Literal["classification", "regression"]
    label: Name | None = None
    classes: Annotated[list[Name], Field(min_length=2)] | None = None
    output: str | list[str] | None = None
    loss: Literal["mean_squared_error", "mean_absolute_error", "huber"] | None = None
    weight: Positive = 1.0
    mask: Name | None = None
    bins: Annotated[list[Finite], Field(min_length=2)] | None = None
    unit: Name | None = None
    monotone: Annotated[list[Name], Field(min_length=1)] | None = None
    calibration: Literal["isotonic"] | None = None

    @model_validator(mode="after")
    def _has_the_keys_of_its_task(self) -> "Head":
        others = (
            ("loss", "bins", "unit", "monotone", "calibration")
            if self.task == "classification"
            else ("classes", "output")
        )
        for key in others:
            if getattr(self, key) is not None:
                raise ValueError(f'{key} is not a key of task "{self.task}"')
        if self.task == "regression" and self.label is None:
            raise ValueError("label is missing; set it to the column of the true value")
        if self.bins is not None and sorted(set(self.bins)) != self.bins:
            raise ValueError(f"bins are {self.bins}; each edge must be above the one before")
        names = self.classes or []
        if len(set(names)) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"classes names {quoted(repeated)} twice")
        return self


class Scoring(NamedTuple):
    """One head as the rest of the program sees it; a file without ``heads`` has one, without a
    name.

    ``outputs`` are the names of its scores, ``first`` is the place of the first among all scores.
    ``background`` has the numbers of the classes that an only output scores low; None if there is
    an output for each class. ``taught`` has the numbers of the classes that training sees.
    ``column`` is the place of its truth in ``Events.truth``; None if its classes are those of the
    events.
    """

    name: str
    head: Head | None
    outputs: list[str]
    first: int
    classes: list[str]
    background: tuple[int, ...] | None
    taught: tuple[int, ...]
    column: int | None

    @property
    def places(self) -> slice:
        """The places of its scores among all scores."""
        return slice(self.first, self.first + len(self.outputs))

    @property
    def unit(self) -> str:
        """The unit of its truth; "" if it has none."""
        return (self.head and self.head.unit) or ""

    @property
    def is_regression(self) -> bool:
        return self.head is not None and self.head.task == "regression"


def scored_high(output: str | list[str] | None) -> list[str]:
    """The classes that an only output scores high; none if there is an output for each class."""
    return [output] if isinstance(output, str) else output or []


def scorings(spec: "Spec") -> tuple[Scoring, ...]:
    """The heads in the order of the file, which is that of the network's outputs."""
    if not spec.heads:
        classes = spec.data.classes
        only = Scoring("", None, spec.scores, 0, classes, spec.background, spec.taught, None)
        return (only,)
    heads: list[Scoring] = []
    first = 0
    for column, (name, head) in enumerate(spec.heads.items()):
        classes = _classes(head, spec)
        high = scored_high(head.output)
        everything = tuple(range(len(classes)))
        outputs = [f"{name}_{each}" for each in classes] if classes and not high else [name]
        background = tuple(k for k in everything if classes[k] not in high) if high else None
        heads.append(Scoring(name, head, outputs, first, classes, background, everything, column))
        first += len(outputs)
    return tuple(heads)


def _classes(head: Head, spec: "Spec") -> list[str]:
    """The classes that a head separates, by default those of the events; none for a regression."""
    return [] if head.task == "regression" else head.classes or spec.data.classes
