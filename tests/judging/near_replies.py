"""Random replies that nearly state a score on a scale: numbers at its ends and words that put a score in doubt."""

from __future__ import annotations

from hypothesis import strategies as st

from essay_cohorts.rubric import Scale, points

_LABELS = ["SCORE: ", "SCORE = ", "Final score: ", "**SCORE:** ", '{"score": ', '"score": "']
_CRITERIA = ["NOVELTY: ", "Clarity = ", "- clarity score: ", '{"novelty": ', '"clarity": "', '"criteria": {']
_BETWEEN = ["\n", " ", "/", " out of ", " (", ")", "}", '"', ",", "-", "%", " to ", "\n\n", "{", "."]
_DOUBTS = ["Actually ", "no, ", "or rather ", "Confidence: "]


def near_replies(scale: Scale) -> st.SearchStrategy[str]:
    """Return a strategy of replies whose numbers are at, inside and beyond the ends of the scale."""
    near = [scale.low, scale.high, scale.low - 1, scale.high + 1, (scale.low + scale.high) / 2, scale.high * 10]
    numbers = st.sampled_from([*map(points, near), "9", "10", "0", f"{points(scale.high)}.0"])
    words = st.sampled_from([*_LABELS, *_CRITERIA, *_BETWEEN, *_DOUBTS])
    pieces = st.one_of(words, numbers, st.text(max_size=3))
    return st.lists(pieces, max_size=14).map("".join)
