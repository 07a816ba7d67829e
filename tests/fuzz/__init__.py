"""What must hold whatever files, confs, replies and answers hold. EXAMPLES says how many of each are tried."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

# What only parses costs a millisecond or less an example, what builds and plans a store about thirty.
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
    """The settings of the fuzz test `name`: as many examples as the table says, the same ones in every run."""
    return settings(
        max_examples=EXAMPLES[name],
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
