"""A fill of the LHC, lumi section by lumi section, as an environment in which a controller sets the
registers of a trigger with two accept bits.

The bit *main* has no prescale, and the controller steers its threshold. The bit *loose* has a fixed
threshold, and the controller steers its prescale. Scores come from a built trigger. What varies is
assumed here: the luminosity falls, the pile-up with it and drifts besides, and in some fills a hot
channel fires for a while.
"""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

SECTION_S = 23.31  # 2^18 orbits
SECTIONS = 480  # shorter than a fill, so that one second of this program is many fills
LIFETIME = 350  # sections in which the luminosity falls to 1/e: a fill, compressed
HOT_PROBABILITY = 0.5
HOT_SHARE = 5e-3  # of the crossings, while a channel is hot
SCAN_SECTIONS = 8  # an emittance scan, once in a fill
SCAN_LUMINOSITY = 0.5
PILE_UP_STEPS = np.linspace(0.2, 1.4, 25)
PENALTY = 5
LARGEST_PRESCALE = 1 << 12


class Scores(NamedTuple):
    """Integer scores and weights of zero-bias events, with an ``activity`` that grows with pile-up,
    and of signal events. ``low`` and ``high`` are the ends of the score's type.
    """

    zero_bias: np.ndarray
    weight: np.ndarray
    activity: np.ndarray
    signal: np.ndarray
    signal_weight: np.ndarray
    low: int
    high: int


class Registers(NamedTuple):
    """What the shell's registers take: the integer threshold of main, the prescale of loose."""

    threshold: int
    prescale: int


class Menu(NamedTuple):
    """Rates in kHz: the ``limit`` of both bits together, and what main alone gets of it.

    ``loose`` is the fixed threshold of the other bit; ``crossings`` is the rate of crossings.
    """

    limit: float
    main: float
    loose: int
    crossings: float
    band: float = 0.1


class Rates:
    """Rates and efficiency at any threshold and pile-up, from tables."""

    def __init__(self, scores: Scores, crossings: float) -> None:
        self.low = scores.low
        self._crossings = crossings
        bins = scores.high - scores.low + 2
        spread = scores.activity.std()
        activity = (scores.activity - np.average(scores.activity, weights=scores.weight)) / spread
        # Exponential tilting: the events that more pile-up makes more frequent are active ones.
        self._accepted = np.stack(
            [
                self._shares(scores.zero_bias, scores.weight * np.exp((mu - 1) * activity), bins)
                for mu in PILE_UP_STEPS
            ]
        )
        active = activity >= np.quantile(activity, 0.95)
        self._hot = self._shares(scores.zero_bias[active], scores.weight[active], bins)
        self._signal = self._shares(scores.signal, scores.signal_weight, bins)

    def _shares(self, scores: np.ndarray, weight: np.ndarray, bins: int) -> np.ndarray:
        """The share of the weight at or above each threshold."""
        counts = np.bincount(scores - self.low, weight, bins)
        return np.cumsum(counts[::-1])[::-1] / weight.sum()

    def rate(self, threshold: int, pile_up: float, hot: bool) -> float:
        """Of zero bias, in kHz."""
        place = threshold - self.low
        usual = np.interp(pile_up, PILE_UP_STEPS, self._accepted[:, place])
        share = usual + HOT_SHARE * self._hot[place] if hot else usual
        return float(share * self._crossings)

    def efficiency(self, threshold: int) -> float:
        """Of the signal."""
        return float(self._signal[threshold - self.low])


class Fill(gymnasium.Env):
    """One step is one lumi section: an action changes the registers, the counts of the section are
    observed. The reward is the share of signal that is kept, less ``PENALTY`` times the distance
    of the rate from its band, relative to the limit.

    Observed are two errors, the logarithms of main's rate and of the total over their targets,
    their sums so far, their last changes, the logarithms of luminosity and prescale, and the last
    change of the luminosity's. An action is the change of the threshold in units of a 64th of the
    score's range, and of the prescale's logarithm, each from -1 to 1.
    """

    def __init__(self, scores: Scores, menu: Menu, start: Registers) -> None:
        self.menu = menu
        self.rates = Rates(scores, menu.crossings)
        self.unit = max(1, round((scores.high - scores.low) / 64))
        self.observation_space = spaces.Box(-20, 20, (9,), np.float32)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)
        self._ends = scores.low, scores.high
        self._start = start

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        random = self.np_random
        self._section = 0
        self._first = random.uniform(0.9, 1.1)
        self._drift = 0.0
        start = int(random.integers(0, SECTIONS))
        is_hot = random.random() < HOT_PROBABILITY
        self._hot = range(start, start + int(random.integers(20, 80)) if is_hot else start)
        start = int(random.integers(20, SECTIONS - 20))
        self._scan = range(start, start + SCAN_SECTIONS)
        self._registers = self._next = self._start
        self._total = np.zeros(2)
        self._errors = self._of(self._counted())
        self._last = self.luminosity
        return self._observed(self._errors), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._registers, self._next = self._next, self.changed(action)
        self._section += 1
        self._drift = 0.98 * self._drift + self.np_random.normal(0, 0.01)
        counted = self._counted()
        rate = counted[1] / self.menu.limit
        kept = min(1.0, 1 / rate) * self.rates.efficiency(self._registers.threshold)
        reward = kept - PENALTY * max(0.0, abs(rate - 1) - self.menu.band)
        facts = {
            "rate": rate,
            "kept": kept,
            "registers": self._registers,
            "luminosity": self.luminosity,
            "hot": self._section in self._hot,
        }
        ended = self._section == SECTIONS
        return self._observed(self._of(counted)), reward, False, ended, facts

    def changed(self, action: np.ndarray) -> Registers:
        """The registers after an action."""
        by = np.clip(np.asarray(action, float), -1, 1)
        threshold = round(self._next.threshold + by[0] * self.unit)
        prescale = round(self._next.prescale * np.exp(by[1]))
        if prescale == self._next.prescale and abs(by[1]) >= 0.05:
            prescale += int(np.sign(by[1]))
        return Registers(
            int(np.clip(threshold, *self._ends)), int(np.clip(prescale, 1, LARGEST_PRESCALE))
        )

    @property
    def luminosity(self) -> float:
        """Of this section, relative to that of a usual first one."""
        usual = self._first * np.exp(-self._section / LIFETIME)
        return float(usual * SCAN_LUMINOSITY if self._section in self._scan else usual)

    def _counted(self) -> tuple[float, float]:
        """The rates of main and of main or loose, in kHz, as counted in a section."""
        pile_up = self.luminosity * np.exp(self._drift)
        hot = self._section in self._hot
        main = self.rates.rate(self._registers.threshold, pile_up, hot)
        more = max(0.0, self.rates.rate(self.menu.loose, pile_up, hot) - main)
        alone = more / self._registers.prescale
        counts = self.np_random.poisson(np.array([main, alone]) * 1000 * SECTION_S)
        rates = np.maximum(counts, 1) / (1000 * SECTION_S)
        return float(rates[0]), float(rates.sum())

    def _of(self, counted: tuple[float, float]) -> np.ndarray:
        """The two errors."""
        return np.log(np.array(counted) / (self.menu.main, self.menu.limit))

    def _observed(self, errors: np.ndarray) -> np.ndarray:
        self._total = np.clip(self._total + errors, -20, 20)
        now = np.log(self.luminosity)
        rest = [now, np.log(self._registers.prescale), now - np.log(self._last)]
        seen = np.concatenate([errors, self._total, errors - self._errors, rest])
        self._errors, self._last = errors, self.luminosity
        return np.clip(seen, -20, 20).astype(np.float32)
