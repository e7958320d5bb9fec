"""The table ``payload`` of trigger.toml, and the positions of a decision on the links of an EMP
board.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from trigger.errors import quoted
from trigger.spec.tables import Section, nearest

# The widths of an EMP word and of a bunch crossing.
WORD_BITS = 64
CROSSING_BITS = 12
# The limits of the shell's registers, and of the words per event.
MOST_POINTS = 16
MOST_FRAMES = 255
# Default positions of accept bits, crossing and scores, without [payload.output].
_ACCEPT = 0
_CROSSING = 16
_SCORES = 32

# Pattern files number links with three digits.
Channel = Annotated[int, Field(ge=0, lt=1000)]
Place = tuple[int, int]


class OutputField(NamedTuple):
    """Part of a decision: bits ``first`` and up of ``port`` are bits ``low`` to ``high`` of the
    words on ``link``.
    """

    what: str
    port: Literal["out_accept", "out_bx", "out_score"]
    first: int
    width: int
    link: int
    low: int

    @property
    def described(self) -> str:
        """A description for people."""
        key, _, name = self.what.partition(".")
        one = {"accept": "accept bit", "crossing": "bunch crossing", "scores": "score"}.get(
            key, key
        )
        if name:
            return f"{one} {name}"
        return one if self.port == "out_bx" else f"{one}s, as {self.port}"

    @property
    def last(self) -> int:
        return self.first + self.width - 1

    @property
    def high(self) -> int:
        return self.low + self.width - 1


class ScorePort(NamedTuple):
    """One score: its name, and its bits of ``out_score``."""

    name: str
    first: int
    width: int


class PayloadOutput(Section):
    """The link and lowest bit of accept bits, bunch crossing and scores. Parts without a place are
    not sent.

    Accept bits and scores are placed one by one, by name, or all together from that bit on.
    """

    accept: list[int] | dict[str, list[int]] | None = None
    crossing: list[int] | None = None
    scores: list[int] | dict[str, list[int]] | None = None

    @field_validator("accept", "crossing", "scores", mode="before")
    @classmethod
    def _are_places(cls, value: Any) -> Any:
        for place in value.values() if isinstance(value, dict) else [value]:
            numbers = place if isinstance(place, list) else []
            if [type(number) for number in numbers] != [int, int] or min(numbers) < 0:
                raise ValueError(f"{quoted(place)} is not a place; write [link, lowest bit]")
            if numbers[0] > 999:
                raise ValueError(
                    f"link {numbers[0]} does not exist; links are numbered from 0 to 999"
                )
        return value

    @model_validator(mode="after")
    def _says_something(self) -> "PayloadOutput":
        if not (self.accept or self.crossing or self.scores):
            raise ValueError("set at least one of accept, crossing and scores")
        return self


class Payload(Section):
    """The core in a shell: link words in, accept bits out. Thresholds are registers of the shell,
    or fixed in the core.

    ``input_links`` are the channels of links 0, 1, ... on an EMP board, ``output_link`` is that of
    the decision, or ``output`` has its bits on several links.
    """

    thresholds: Literal["registers", "fixed"] = "registers"
    input_links: list[Channel] = Field(default_factory=list)
    output_link: Channel = 0
    output: PayloadOutput | None = None

    @model_validator(mode="after")
    def _no_contradiction(self) -> "Payload":
        repeated = sorted({link for link in self.input_links if self.input_links.count(link) > 1})
        if repeated:
            raise ValueError(f"input_links names {repeated[0]} twice")
        if self.output is not None and "output_link" in self.model_fields_set:
            raise ValueError("set either output_link or output, whose places include links")
        return self

    @property
    def names_channels(self) -> bool:
        """Whether it is for an EMP board, whose channels it names."""
        return bool(self.model_fields_set & {"input_links", "output_link", "output"})

    @property
    def output_key(self) -> str:
        """The key that places a decision, for messages."""
        return "payload.output_link" if self.output is None else "payload.output"

    def output_fields(
        self, accept: Sequence[str], scores: Sequence[ScorePort]
    ) -> tuple[OutputField, ...]:
        """The positions of the parts of a decision. ``accept`` names the accept bits.

        Raises ValueError for an unknown name, and if parts overlap or do not fit a word.
        """
        link = self.output_link
        room = WORD_BITS - _SCORES
        width = sum(score.width for score in scores)
        if self.output is None and width > room:
            raise ValueError(
                f"the scores take {width} bits; only {room} are free in the word on "
                f"link {link}; place them with "
                '[payload.output], or use a network of one output, or thresholds = "fixed"'
            )
        output = self.output or PayloadOutput(
            accept=[link, _ACCEPT], crossing=[link, _CROSSING], scores=[link, _SCORES]
        )
        bits = [ScorePort(name, k, 1) for k, name in enumerate(accept)]
        fields = [
            *_placed("accept", "out_accept", output.accept, bits),
            *(
                [OutputField("crossing", "out_bx", 0, CROSSING_BITS, *output.crossing)]
                if output.crossing
                else []
            ),
            *_placed("scores", "out_score", output.scores, scores),
        ]
        _check_room(fields)
        return tuple(fields)


def _placed(
    key: str,
    port: Literal["out_accept", "out_score"],
    asked: list[int] | Mapping[str, list[int]] | None,
    ports: Sequence[ScorePort],
) -> Iterator[OutputField]:
    if isinstance(asked, list):
        width = sum(part.width for part in ports)
        yield OutputField(key, port, 0, width, *asked)
    elif asked:
        known = {part.name: part for part in ports}
        for name, place in asked.items():
            if name not in known:
                raise ValueError(
                    f"{key} has {quoted(name)}, which is unknown{nearest(name, known)}"
                )
            yield OutputField(f"{key}.{name}", port, *known[name][1:], *place)


def _check_room(fields: Sequence[OutputField]) -> None:
    taken: dict[Place, str] = {}
    for field in fields:
        if field.high >= WORD_BITS:
            raise ValueError(
                f"{field.what} takes bits {field.low} to {field.high} of link "
                f"{field.link}; a word has {WORD_BITS}"
            )
        for bit in range(field.low, field.high + 1):
            other = taken.setdefault((field.link, bit), field.what)
            if other != field.what:
                raise ValueError(f"{other} and {field.what} share bit {bit} of link {field.link}")
