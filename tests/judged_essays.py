"""Simulated scores with known true means, made from the essay's quality, the judge's bias and random noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A score is the essay's quality plus the judge's bias, a deviation of this judge for this essay (standard deviation
# ESSAY_EFFECT), and a deviation of each replicate (standard deviation NOISE).
BIASES, ESSAY_EFFECT, NOISE, REPLICATES = (0.5, 0.0, -0.7), 0.5, 0.9, 4
_LARGE_SAMPLE = 400_000


@dataclass(frozen=True, kw_only=True)
class Population:
    """A population of essays; if it is `skewed`, most essays are near the top of the scale and few are far below."""

    skewed: bool

    def scores(self, essays: int, draw: np.random.Generator) -> NDArray[np.float64]:
        """Return the scores of `essays` essays: whole numbers from 0 to 9, of shape (essays, judges, replicates)."""
        shape = (essays, 1, 1)
        quality = 8.6 - draw.exponential(1.5, shape) if self.skewed else draw.normal(5.6, 1.3, shape)
        essay_effect = draw.normal(0, ESSAY_EFFECT, (essays, len(BIASES), 1))
        noise = draw.normal(0, NOISE, (essays, len(BIASES), REPLICATES))
        bias = np.array(BIASES)[np.newaxis, :, np.newaxis]
        judged: NDArray[np.float64] = quality + bias + essay_effect + noise
        return np.clip(np.round(judged), 0, 9)

    def large_sample(self) -> NDArray[np.float64]:
        """Return the scores of so large_sample essays that their means are the true means to about 0.003."""
        return self.scores(_LARGE_SAMPLE, np.random.default_rng(1))
