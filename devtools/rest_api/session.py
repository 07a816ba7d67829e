"""Sends requests to Airflow's REST API: logs in, follows the pages of a list, and raises Airflow's error messages."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx

from devtools.errors import ApiError

PAGE_SIZE = 1000


class ApiSession:
    """The session of one user: logs in before the first request, and again when the token has expired.

    `check` is called when Airflow does not answer. If the reason is known, `check` raises an error that names it.
    """

    def __init__(
        self, url: str, *, user: str, password: str, check: Callable[[], None], transport: httpx.BaseTransport | None
    ) -> None:
        self.url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._check = check
        # trust_env=False, because no proxy and no .netrc must be used between this process and 127.0.0.1.
        self._http = httpx.Client(base_url=self.url, timeout=30, trust_env=False, transport=transport)
        self._token = ""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the answer to GET `path`. Query fields that are None are left out."""
        params = {name: value for name, value in query.items() if value is not None}
        return self.request("GET", path, params=params)

    def entries(self, path: str, field: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Request all pages of a list, and yield the entries that each answer has in `field`."""
        offset = 0
        while True:
            answer = self.get(path, limit=PAGE_SIZE, offset=offset, **query)
            yield from answer[field]
            offset += len(answer[field])
            if not answer[field] or offset >= answer["total_entries"]:
                return

    def request(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return the JSON of the answer.

        Raises:
            ApiError: there was no answer, or Airflow refused.
        """
        if not self._token:
            self._token = self._new_token()
        response = self._send(method, f"/api/v2/{path}", **fields)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._token = self._new_token()
            response = self._send(method, f"/api/v2/{path}", **fields)
        return _answer(response)

    def _new_token(self) -> str:
        self._token = ""
        return str(_answer(self._send("POST", "/auth/token", json=self._login))["access_token"])

    def _send(self, method: str, path: str, **fields: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            return self._http.request(method, path, headers=headers, **fields)
        except httpx.HTTPError as error:
            self._check()
            msg = f"no answer from {self.url} ({error!r})"
            raise ApiError(msg, request=f"{method} {path}") from error


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.is_success:
        return dict(response.json()) if response.content else {}
    request = f"{response.request.method} {response.request.url.path}"
    raise ApiError(_error_message(response), status=response.status_code, request=request)


def _error_message(response: httpx.Response) -> str:
    """Return Airflow's message and the HTTP status. If Airflow refused several fields, each has its own message."""
    detail: Any = response.text
    with suppress(ValueError, AttributeError):
        detail = response.json().get("detail", detail)
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in detail)
    return f"{detail} (HTTP {response.status_code})"
