"""Requests to Airflow's REST API: with a login, over all pages, and with Airflow's own message when it refuses."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx

from devtools.errors import ApiError

PAGE = 1000


class ApiSession:
    """The session of one user; it logs in by itself, and again when its token has expired.

    `check` is called when there is no answer; it raises an error that says the reason, if the reason is known.
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
        """Return the answer to GET `path`; a query field that is None is left out."""
        params = {name: value for name, value in query.items() if value is not None}
        return self.request("GET", path, params=params)

    def pages(self, path: str, field: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the entries below `field` of the answers of all pages."""
        offset = 0
        while True:
            answer = self.get(path, limit=PAGE, offset=offset, **query)
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
    raise ApiError(_sentence(response), status=response.status_code, request=request)


def _sentence(response: httpx.Response) -> str:
    """Return Airflow's message: one sentence, or one for each field that it refused."""
    detail: Any = response.text
    with suppress(ValueError, AttributeError):
        detail = response.json().get("detail", detail)
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in detail)
    return f"{detail} (HTTP {response.status_code})"
