"""The page `Cohorts` in Airflow's navigation: what exists, what is missing, what it cost, and why.

Every process of Airflow imports this file, each task's process too. Therefore the web framework and the pages are
imported only when a browser first asks for a page.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from essay_cohorts_airflow.cohort_link import PREFIX, CohortLink, base_path


class CohortPages:
    """The ASGI application of the pages, built at the first request."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if self._app is None:
            from essay_cohorts_airflow.pages.app import make_app

            self._app = make_app()
        await self._app(scope, receive, send)


class CohortPagePlugin(AirflowPlugin):
    """The plugin that mounts the pages and adds them to the navigation."""

    name = "cohort_page"
    operator_extra_links = [CohortLink()]  # noqa: RUF012
    fastapi_apps = [{"app": CohortPages(), "url_prefix": PREFIX, "name": "Cohorts"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Cohorts",
            "href": f"{base_path()}{PREFIX}/",
            "destination": "nav",
            "url_route": "cohorts",
            "nav_top_level": True,
            "icon": f"{base_path()}{PREFIX}/static/icon.svg",
            "icon_dark_mode": f"{base_path()}{PREFIX}/static/icon_dark.svg",
        },
        # A tab of every run, because Airflow cannot limit a tab to one DAG.
        {
            "name": "Cohort",
            "href": f"{base_path()}{PREFIX}/run/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "cohort",
        },
    ]
