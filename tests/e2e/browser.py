"""A headless Chromium, controlled by Playwright and logged in to an Airflow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

# The impacts of axe-core findings that fail a test; findings of lower impact are advice.
FAILING_IMPACTS = frozenset({"serious", "critical"})


class Login(Protocol):
    """The address of an Airflow, and a user of it."""

    @property
    def url(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def password(self) -> str: ...


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser: the program in `CHROMIUM`, or else Chromium on the PATH."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        msg = "These tests need a browser: apt-get install chromium, or set CHROMIUM to one."
        raise RuntimeError(msg)
    with sync_playwright() as playwright:
        # In a container the tests run as root, and Chromium's sandbox does not work for root.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(kw_only=True)
class Visitor:
    """A user at a browser, with the current page and the errors of the pages so far."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    pictures: Path | None = None

    @classmethod
    def logged_in(cls, browser: Browser, airflow: Login, **options: Any) -> Visitor:
        """Return a visitor who has logged in on the login page."""
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        page = context.new_page()
        folder = os.environ.get("PICTURES")
        visitor = cls(page=page, url=airflow.url, pictures=Path(folder) if folder else None)
        page.on("pageerror", lambda error: visitor.errors.append(str(error)))
        page.on("dialog", visitor.dismiss)
        page.goto(f"{airflow.url}/cohorts/")
        page.fill("input[name=username]", airflow.user)
        page.fill("input[name=password]", airflow.password)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{airflow.url}/cohorts/")
        return visitor

    def dismiss(self, dialog: Dialog) -> None:
        """Record a dialog as an error, because no page may open one."""
        self.errors.append(dialog.message)
        dialog.dismiss()

    def see(self, path: str) -> Page:
        """Open a page of the plugin, outside Airflow's frame."""
        self.page.goto(f"{self.url}/cohorts/{path}", wait_until="networkidle")
        return self.page

    def picture(self, name: str) -> None:
        """Save a screenshot for a person to check, if PICTURES names a folder."""
        if self.pictures is not None:
            self.page.screenshot(path=self.pictures / f"{name}.png")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def violations(self) -> list[str]:
        """Return the serious and critical accessibility problems that axe-core finds."""
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in FAILING_IMPACTS]

    def leave(self) -> None:
        """Close the page and its browser context."""
        self.page.context.close()
