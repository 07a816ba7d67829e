"""Fuzz tests of files, confs, replies and server answers. EXAMPLES sets the number of examples of each test."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

# An example takes at most 1 ms if it is only parsed, and about 30 ms if a store is built and planned.
EXAMPLES = {
    "replies": 6_000,
    "stated scores": 1_500,
    "answers": 2_500,
    "odd completions": 1_500,
    "selections": 2_500,
    "good selections": 500,
    "confs": 2_000,
    "environment": 500,
    "templates.csv": 500,
    "models.csv": 700,
    "replication.csv": 400,
    "metadata": 1_200,
    "prompts": 1_000,
    "triggers": 300,
    "stores": 400,
    "records": 350,
}
LEAST = 20_500


def fuzzed(name: str) -> settings:
    """Return the settings of the fuzz test `name`: its number of examples, which are the same in every run."""
    return settings(
        max_examples=EXAMPLES[name],
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
