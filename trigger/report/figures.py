"""What several sections of the report share: colours and names of classes."""

from collections.abc import Sequence

from matplotlib import colors

from trigger.report.plots.drawing import class_color
from trigger.spec.head_tables import Scoring
from trigger.spec.spec import Spec


def numbers_of_classes(spec: Spec) -> dict[str, int]:
    """The number of the colour of each class on the page: those of the events come first."""
    heads = [name for head in spec.scoring for name in head.classes]
    names = dict.fromkeys([*(spec.data.classes if spec.data.label else ["events"]), *heads])
    return {name: number for number, name in enumerate(names)}


def hex_colors(numbers: dict[str, int]) -> dict[str, str]:
    """The colours of the classes for the page, as in the plots."""
    return {name: colors.to_hex(class_color(number)) for name, number in numbers.items()}


def told_apart(head: Scoring, spec: Spec) -> Sequence[str]:
    """The classes of a head whose figures say different things: of two classes only the signal.

    The curves of two classes are mirror images. Zero bias, or what an only output scores low, is
    the background; otherwise the second class is.
    """
    if len(head.classes) != 2:
        return head.classes
    low = [head.classes[number] for number in head.background or ()]
    background = low or [name for name in head.classes if name == spec.physics.zero_bias]
    return [name for name in head.classes if name not in (background or head.classes[1:])]
