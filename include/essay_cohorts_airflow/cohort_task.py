"""The decorator of the tasks that work on a cohort: `@task`, with a class that the link to the cohort's page names.

Airflow gives a plugin's link to all tasks of a class. With the class of `@task` every Python task of an Airflow that
has other DAGs would get the link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import TaskDecorator


class CohortTaskOperator(DecoratedOperator, PythonOperator):
    """Runs a decorated function, as the operator of `@task` does."""

    template_fields: Sequence[str] = ("templates_dict", "op_args", "op_kwargs")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "templates_dict": "json",
        "op_args": "py",
        "op_kwargs": "py",
    }
    custom_operator_name: str = "@task"

    def __init__(self, *, python_callable: Callable[..., Any], op_args: Any, op_kwargs: Any, **options: Any) -> None:
        given = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=given, **given, **options)


def cohort_task(function: Callable[..., Any] | None = None, **options: Any) -> TaskDecorator:
    """Make a task of a function, with the options of `@task`."""
    return task_decorator_factory(python_callable=function, decorated_operator_class=CohortTaskOperator, **options)
