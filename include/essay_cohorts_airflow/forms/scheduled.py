"""The trigger form of `scheduled_backfill`; a scheduled run takes the defaults.

DD_SCHEDULED_CONF, a JSON object, replaces defaults for a deployment. DD_SCHEDULE is the cron expression, in UTC.
"""

import json
import os
from copy import copy
from typing import Any

from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from essay_cohorts_airflow.forms.backfill import PARAMS as BACKFILL
from essay_cohorts_airflow.forms.fields import ID_PATTERN, ids, number, switch

SCHEDULE = os.environ.get("DD_SCHEDULE", "").strip() or "0 3 * * *"


def _deployment_conf() -> dict[str, Any]:
    text = os.environ.get("DD_SCHEDULED_CONF", "").strip() or "{}"
    try:
        conf = json.loads(text)
    except ValueError:
        conf = None
    if not isinstance(conf, dict):
        msg = f'DD_SCHEDULED_CONF must be a JSON object, like {{"top_n": 50}}, but is: {text}'
        raise ValueError(msg)
    return conf


_CONF = _deployment_conf()

_WHAT, _COHORT, _CALLS = None, "The cohort", "Calls"
_PASSED_ON = ("max_concurrency", "max_llm_calls", "max_cost_usd", "max_unscored", "changed_inputs")

PARAMS: dict[str, Param] = {
    "baseline_template": Param(
        "novelty",
        type="string",
        pattern=ID_PATTERN,
        title="Baseline template",
        description_md="Ranks the essays: the best score of each judge model, averaged over the models.",
        section=_WHAT,
    ),
    "target_template": Param(
        "coherence",
        type="string",
        pattern=ID_PATTERN,
        title="Target template",
        description_md="Judges those of the best essays that it has not fully judged. It must be active.",
        section=_WHAT,
    ),
    "top_n": number(
        30, 1, 1_000, "Essays to consider", "How many top essays by the baseline template to consider.", _WHAT
    ),
    "average_models": ids(
        "Models that rank", "Judge models whose scores rank, one per line. Empty: all models.", _WHAT
    ),
    "any_model": switch(
        "One model is enough",
        "An essay counts as judged when any model has scored it with the target template.",
        _WHAT,
    ),
    "retry_unscored": switch(
        "Ask again for refused replies",
        "Counts refused replies as missing and asks for them once more: every scheduled run pays for these calls "
        "again.",
        _WHAT,
    ),
    "cohort_prefix": Param(
        "scheduled",
        type="string",
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,83}$",
        title="Prefix of the cohort's id",
        description_md="The run's logical date follows it: scheduled_20260131T030000. At most 84 characters.",
        section=_COHORT,
    ),
    **{name: copy(BACKFILL[name]) for name in _PASSED_ON},
}
# Nobody watches a scheduled run, so it has a cap unless somebody empties the field.
PARAMS["max_llm_calls"].value = 500

for _name in _CONF.keys() & PARAMS.keys():
    try:
        PARAMS[_name].resolve(_CONF[_name])
    except ParamValidationError as _error:
        msg = f"DD_SCHEDULED_CONF: {_name}: {_CONF[_name]!r} is not valid: {_error}"
        raise ValueError(msg) from None
# Keys without a Param: the task `select_missing` refuses them, as it refuses unknown keys of any conf.
UNKNOWN = {name: value for name, value in _CONF.items() if name not in PARAMS}
