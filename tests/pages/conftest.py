"""What every test of a page wants: no worker is started."""

from __future__ import annotations

import pytest

from ui import jobs


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Jobs are collected, not run: what workers do is tested elsewhere."""
    submitted: list[str] = []
    monkeypatch.setattr(jobs, "submit", submitted.append)
    monkeypatch.setattr(jobs, "withdraw", lambda run_id: False)
    monkeypatch.setattr(jobs, "analyse", lambda run_id, request: None)
    return submitted
