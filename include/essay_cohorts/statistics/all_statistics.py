"""All statistics of a set of scores, each with its interval, and the method that produced them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from essay_cohorts.statistics.agreement import Agreement, agreements
from essay_cohorts.statistics.bootstrap import CONFIDENCE, FEWEST_ESSAYS, RESAMPLES, SEED
from essay_cohorts.statistics.means import ScoreMean, score_means
from essay_cohorts.statistics.mixed import NO_MIXED_FIGURES, MixedFigures
from essay_cohorts.statistics.spread import (
    JudgePair,
    RankedEssay,
    ReplicateSpread,
    judge_pairs,
    rank_essays,
    replicate_spreads,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreStatistics:
    """Means, agreement, pairs of judges, spread of replicates, and the ranking of each template."""

    means: tuple[ScoreMean, ...]
    agreement: tuple[Agreement, ...]
    pairs: tuple[JudgePair, ...]
    replicates: tuple[ReplicateSpread, ...]
    ranking: tuple[RankedEssay, ...]
    mixed: MixedFigures = NO_MIXED_FIGURES

    def to_json(self) -> dict[str, Any]:
        """Return the figures as the command prints them, with the method and the figures that mix provenances."""
        return {"method": method(), **asdict(self), "mixed": self.mixed.judges()}


def statistics_of(frame: pd.DataFrame, mixed: MixedFigures = NO_MIXED_FIGURES) -> ScoreStatistics:
    """Return the statistics of a table of scores (see `frame`). `mixed` holds the figures that mix provenances."""
    return ScoreStatistics(
        means=score_means(frame),
        agreement=agreements(frame),
        pairs=judge_pairs(frame),
        replicates=replicate_spreads(frame),
        ranking=tuple(
            each for template_id in dict.fromkeys(frame["template"]) for each in rank_essays(frame, template_id)
        ),
        mixed=mixed,
    )


def method() -> dict[str, Any]:
    """Return the settings on which an interval depends besides the scores."""
    return {"confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": SEED, "fewest_essays": FEWEST_ESSAYS}


def method_in_words() -> str:
    """Return the method as a sentence for people."""
    return (
        f"{100 * CONFIDENCE:.0f} % intervals by a studentised bootstrap over essays ({RESAMPLES:,} resamples, "
        f"seed {SEED}); below {FEWEST_ESSAYS} essays they are unreliable."
    )
