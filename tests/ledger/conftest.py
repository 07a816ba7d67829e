"""The ledger's tests run on both databases: a file in the data root, and a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, ledger_url: str) -> Settings:
    """Return the settings of an empty data root with an empty ledger."""
    root = tmp_path / "root"
    root.mkdir()
    return Settings(data_root=root, ledger=ledger_url)


@pytest.fixture
def ledger(settings: Settings) -> Ledger:
    """Return an empty ledger."""
    return Ledger.of(settings)
