"""The trigger form of `reparse_evaluations`: one Param for each conf key; the task checks the ids."""

from airflow.sdk import Param

from essay_cohorts_airflow.forms.fields import ids, switch

PARAMS: dict[str, Param] = {
    "cohort_id": Param(
        None,
        type=["null", "string"],
        title="Cohort id",
        description_md="Only the replies of this cohort's members. Empty: the replies of the whole store.",
    ),
    "templates": ids(
        "Templates", "Only replies to these evaluation templates, one id per line. Empty: to all templates.", None
    ),
    "write": switch(
        "Write",
        "Applies the changes and keeps the former results. Off: shows what would change and writes nothing.",
        None,
    ),
}
