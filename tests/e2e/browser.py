"""Debian's Chromium without a window, driven by Playwright, logged in to an Airflow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from devtools.local_airflow.service import LocalAirflow

# What a page must not have; lesser findings are advice.
GRAVE = frozenset({"serious", "critical"})


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; `CHROMIUM` names another than the one on the path."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        msg = "These tests need a browser: apt-get install chromium, or set CHROMIUM to one."
        raise RuntimeError(msg)
    with sync_playwright() as playwright:
        # In a container the tests run as root, for whom Chromium's own sandbox is not made.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(kw_only=True)
class Visitor:
    """A person at a browser: the page before them, and what went wrong in it."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    pictures: Path | None = None

    @classmethod
    def logged_in(cls, browser: Browser, airflow: LocalAirflow, **options: Any) -> Visitor:
        """A visitor who came by the login page."""
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
        """A dialog that a page opens is an error of the page."""
        self.errors.append(dialog.message)
        dialog.dismiss()

    def see(self, path: str) -> Page:
        """Goes to a page of the plugin, outside Airflow's frame."""
        self.page.goto(f"{self.url}/cohorts/{path}", wait_until="networkidle")
        return self.page

    def picture(self, name: str) -> None:
        """Keeps what is seen now, for a person to look at, when PICTURES names a folder."""
        if self.pictures is not None:
            self.page.screenshot(path=self.pictures / f"{name}.png")

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def violations(self) -> list[str]:
        """What axe-core finds gravely wrong for people who do not see or point."""
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in GRAVE]

    def leave(self) -> None:
        """Closes the page."""
        self.page.context.close()
