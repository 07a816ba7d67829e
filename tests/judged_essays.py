"""Made essays whose true means are known: an essay's quality, a judge's leaning, the noise of replicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Each judge leans by so much; what it makes of one essay differs from that, and once more with each replicate.
LEANINGS, TASTE, NOISE, REPLICATES = (0.5, 0.0, -0.7), 0.5, 0.9, 4
_MANY = 400_000


@dataclass(frozen=True, kw_only=True)
class World:
    """A population of essays: with `skewed` most are near the top of the scale and few far below it."""

    skewed: bool

    def scores(self, essays: int, draw: np.random.Generator) -> NDArray[np.float64]:
        """So many essays' scores, whole numbers from 0 to 9, of shape (essays, judges, replicates)."""
        shape = (essays, 1, 1)
        quality = 8.6 - draw.exponential(1.5, shape) if self.skewed else draw.normal(5.6, 1.3, shape)
        taste = draw.normal(0, TASTE, (essays, len(LEANINGS), 1))
        noise = draw.normal(0, NOISE, (essays, len(LEANINGS), REPLICATES))
        leaning = np.array(LEANINGS)[np.newaxis, :, np.newaxis]
        judged: NDArray[np.float64] = quality + leaning + taste + noise
        return np.clip(np.round(judged), 0, 9)

    def many(self) -> NDArray[np.float64]:
        """So many essays that their figures are the true ones, to about 0.003."""
        return self.scores(_MANY, np.random.default_rng(1))
