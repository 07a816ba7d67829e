"""The offline judge for the tests in this folder: one process per module, reset before each test."""

from collections.abc import Iterator

import pytest

from tests.devtools.judge_process import Running, started


@pytest.fixture(scope="module")
def only_judge() -> Iterator[Running]:
    with started() as running:
        yield running


@pytest.fixture
def judge(only_judge: Running) -> Running:
    only_judge.set_faults()
    only_judge.http.delete("/requests").raise_for_status()
    return only_judge
