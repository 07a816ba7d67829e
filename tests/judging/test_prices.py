"""Tests of the cost of a call that was made, and of the highest cost of planned calls."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.calls import JudgeModel, Usage
from essay_cohorts.judging.prices import Estimate, cost_usd, estimate_calls

PROPERTY = settings(deadline=None, max_examples=100)


def model(input_usd: float | None = 2.0, output_usd: float | None = 10.0, max_tokens: int | None = 500) -> JudgeModel:
    return JudgeModel(
        id="judge-a",
        model="example/judge-a",
        max_tokens=max_tokens,
        input_usd_per_mtok=input_usd,
        output_usd_per_mtok=output_usd,
    )


@pytest.mark.parametrize(
    ("judge", "usage", "expected"),
    [
        pytest.param(model(), Usage(prompt_tokens=1_000_000, completion_tokens=0), 2.0, id="a million in"),
        pytest.param(model(), Usage(prompt_tokens=0, completion_tokens=1_000_000), 10.0, id="a million out"),
        pytest.param(model(), Usage(prompt_tokens=1500, completion_tokens=200), 0.005, id="both"),
        pytest.param(model(), Usage(prompt_tokens=0, completion_tokens=0), 0.0, id="no tokens"),
        pytest.param(model(0.0, 0.0), Usage(prompt_tokens=1500, completion_tokens=200), 0.0, id="free"),
        pytest.param(model(0.1, 0.2), Usage(prompt_tokens=1, completion_tokens=1), 0.0000003, id="tiny"),
        pytest.param(model(None, 10.0), Usage(prompt_tokens=1, completion_tokens=1), None, id="no price in"),
        pytest.param(model(2.0, None), Usage(prompt_tokens=1, completion_tokens=1), None, id="no price out"),
        pytest.param(model(), Usage(prompt_tokens=None, completion_tokens=1), None, id="input tokens not reported"),
        pytest.param(model(), Usage(prompt_tokens=1, completion_tokens=None), None, id="output tokens not reported"),
        pytest.param(model(), Usage(), None, id="no usage reported"),
    ],
)
def test_the_cost_of_a_call(judge: JudgeModel, usage: Usage, expected: float | None) -> None:
    """A call costs tokens times price; the cost is unknown if a price or a count is not known."""
    assert cost_usd(judge, usage) == expected


@PROPERTY
@given(st.integers(0, 10**7), st.integers(0, 10**7), st.floats(0, 100), st.floats(0, 100))
def test_a_cost_is_never_negative_and_never_more_than_its_tokens(
    tokens_in: int, tokens_out: int, input_usd: float, output_usd: float
) -> None:
    """A known cost is between 0 and the cost of all tokens at the higher price."""
    cost = cost_usd(model(input_usd, output_usd), Usage(prompt_tokens=tokens_in, completion_tokens=tokens_out))
    assert cost is not None
    assert 0 <= cost <= (tokens_in + tokens_out) * max(input_usd, output_usd) / 1e6 + 1e-9


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param([], Estimate(calls=0, input_tokens=0, output_tokens=0, usd=0), id="none"),
        pytest.param(
            [(model(), 4000)],
            Estimate(calls=1, input_tokens=1000, output_tokens=500, usd=0.007),
            id="four bytes a token",
        ),
        pytest.param(
            [(model(), 1)], Estimate(calls=1, input_tokens=1, output_tokens=500, usd=0.005002), id="rounded up"
        ),
        pytest.param(
            [(model(), 4000), (model(1.0, 5.0, 100), 8000)],
            Estimate(calls=2, input_tokens=3000, output_tokens=600, usd=0.0095),
            id="two models",
        ),
        pytest.param(
            [(model(), 4000), (model(max_tokens=None), 4000)],
            Estimate(calls=2, input_tokens=2000, output_tokens=None, usd=None),
            id="one without a limit",
        ),
        pytest.param(
            [(model(), 4000), (model(None, None), 4000)],
            Estimate(calls=2, input_tokens=2000, output_tokens=1000, usd=None),
            id="one without a price",
        ),
    ],
)
def test_the_estimate_of_planned_calls(calls: list[tuple[JudgeModel, int]], expected: Estimate) -> None:
    """An estimate sums prompts and limits, and is unknown if any part of it is unknown."""
    found = estimate_calls(calls)
    assert (found.calls, found.input_tokens, found.output_tokens) == (
        expected.calls,
        expected.input_tokens,
        expected.output_tokens,
    )
    assert found.usd == (None if expected.usd is None else pytest.approx(expected.usd))


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        pytest.param(
            Estimate(calls=1200, input_tokens=3_400_000, output_tokens=600_000, usd=12.34567),
            "1,200 calls, about 3,400,000 tokens in, at most 600,000 out, cost up to about $12.3457",
            id="all known",
        ),
        pytest.param(
            Estimate(calls=3, input_tokens=9, output_tokens=None, usd=None),
            "3 calls, about 9 tokens in, unknown out, cost unknown",
            id="unknown",
        ),
        pytest.param(
            Estimate(calls=3, input_tokens=9, output_tokens=0, usd=0.0),
            "3 calls, about 9 tokens in, at most 0 out, cost up to about $0.0000",
            id="free is not unknown",
        ),
    ],
)
def test_an_estimate_in_words(estimate: Estimate, text: str) -> None:
    """An unknown amount is called unknown, and never shown as 0."""
    assert str(estimate) == text
