"""The list of `mtmc cache`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.export_cache import cached_export
from tests.pipeline.commands.test_cli import exit_code


def test_names_are_shown_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MTMC_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    cached_export("hall[red].pt", {}, lambda target: None)
    assert exit_code("cache") == 0
    assert " hall[red].pt" in capsys.readouterr().out
