"""No test leaves anything in the user's cache folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pipeline.core.export_cache import CACHE_VARIABLE


@pytest.fixture(autouse=True, scope="session")
def export_cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Networks are exported once for all tests of a session, into a folder of the session."""
    before = os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop(CACHE_VARIABLE)
    if before is not None:
        os.environ[CACHE_VARIABLE] = before
