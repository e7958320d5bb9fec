"""The table ``robustness`` of trigger.toml: named shifts of the inputs."""

from typing import Annotated

from pydantic import Field, model_validator

from trigger.spec.tables import Finite, Name, Positive, Section, Seed

KINDS = ("scale", "smear", "add", "poisson", "dead")
# The kinds that draw random numbers.
DRAWN = ("smear", "poisson", "dead")


class Shift(Section):
    """A change of some inputs, of one kind.

    ``features`` are features, fields of objects such as "jet_pt", or patterns with ``*``. ``scale``
    multiplies their values, ``smear`` is a relative Gaussian resolution, ``add`` and the mean of a
    ``poisson`` number are added in physical units, and ``dead`` is the fraction of the values that
    read zero.
    """

    features: Annotated[list[Name], Field(min_length=1)]
    scale: Positive | None = None
    smear: Annotated[float, Field(gt=0, le=1)] | None = None
    add: Finite | None = None
    poisson: Annotated[float, Field(gt=0, le=1e9)] | None = None
    dead: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Seed = 1

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> "Shift":
        given = [key for key in KINDS if getattr(self, key) is not None]
        if not given:
            raise ValueError(f"set one of {', '.join(KINDS[:-1])} and {KINDS[-1]}")
        if len(given) > 1:
            raise ValueError(
                f"{given[0]} and {given[1]} are two shifts; give each a table and a name"
            )
        for key, value in (("scale", 1), ("add", 0)):
            if getattr(self, key) == value:
                raise ValueError(
                    f"{key} is {value}, which changes nothing; set another value, or remove the "
                    f"shift"
                )
        if "seed" in self.model_fields_set and given[0] not in DRAWN:
            raise ValueError(f"seed has no effect: {given[0]} draws no random numbers; remove seed")
        return self

    @property
    def kind(self) -> str:
        return next(key for key in KINDS if getattr(self, key) is not None)

    def __str__(self) -> str:
        return f"{self.kind} = {getattr(self, self.kind):g} of {', '.join(self.features)}"
