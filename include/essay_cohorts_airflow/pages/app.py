"""The application of the pages. It needs Airflow's login and the right to read the DAG, and writes nothing."""

from __future__ import annotations

import logging
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from essay_cohorts.errors import BadInput, CohortError
from essay_cohorts_airflow.pages import DAG_ID
from essay_cohorts_airflow.pages.rendering import render
from essay_cohorts_airflow.pages.routes import router

log = logging.getLogger(__name__)

# A browser loads nothing from elsewhere and runs no inline script, so an essay or a reply with a script stays text.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def make_app() -> FastAPI:
    """Make the application; without a login each of its routes answers 401 or redirects to the login page."""
    app = FastAPI(
        title="Cohorts",
        # These would be routes without a login.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Without a named DAG a caller could choose another DAG with `?dag_id=`.
        dependencies=[Depends(requires_access_dag("GET", param_dag_id=DAG_ID))],
    )
    app.include_router(router)
    app.middleware("http")(_with_headers)
    app.exception_handler(CohortError)(_page_of_known_error)
    app.exception_handler(OSError)(_page_of_unreadable_file)
    app.exception_handler(HTTPException)(_answer_of_http_error)
    app.exception_handler(Exception)(_page_of_unexpected_error)
    return app


async def _with_headers(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if "cache-control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


def _page_of_known_error(request: Request, error: CohortError) -> Response:
    """Show an error whose text is written for people: 404 for bad input, 500 for a damaged store."""
    if not isinstance(error, BadInput):
        log.error("%s: %s", request.url.path, error)
    if isinstance(error, BadInput):
        return _problem(request, 404, "\n".join(map(str, error.problems)))
    return _problem(request, 500, str(error))


def _page_of_unreadable_file(request: Request, error: OSError) -> Response:
    """Show that a file of the store exists but cannot be read."""
    log.error("%s: %s", request.url.path, error)
    return _problem(request, 500, f"{error.filename}: cannot be read: {error.strerror}.")


def _answer_of_http_error(request: Request, error: HTTPException) -> Response:
    """Redirect a browser without a login to the login page, which leads back; answer the status to other requests."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if error.status_code == 401 and wants_page and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(get_auth_manager().get_url_login(next_url=here), status_code=307)
    if not wants_page or error.status_code == 401:
        return JSONResponse({"detail": error.detail}, status_code=error.status_code, headers=error.headers)
    if error.status_code == 403:
        return _problem(request, 403, f"You may not see cohorts, because you may not read the DAG {DAG_ID}.")
    return _problem(request, error.status_code, str(error.detail))


def _page_of_unexpected_error(request: Request, error: Exception) -> Response:
    log.exception("%s could not be shown", request.url.path, exc_info=error)
    response = _problem(request, 500, "This page could not be shown. The log of Airflow's API server says why.")
    # This response does not pass the middleware that adds the headers.
    response.headers.update(_HEADERS)
    return response


def _problem(request: Request, status: int, message: str) -> Response:
    titles = {403: "Not allowed", 404: "Page not found", 405: "Not allowed"}
    title = titles.get(status, "Something is wrong")
    return render(request, "problem", status_code=status, title=title, lines=message.splitlines())
