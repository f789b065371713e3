"""No test leaves anything in the user's cache folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pipeline.core import export_cache
from pipeline.core.export_cache import CACHE_VARIABLE

#: The files that take longest. `make test` gives whole files to two processes, so that the fixtures of a file are built
#: once; the long files come first, so that none runs alone at the end.
LONG_FILES = (
    "tests/docs/test_readme.py",
    "tests/architecture/test_without_torch.py",
    "tests/pipeline/live/cameras/test_reader.py",
    "tests/pipeline/live/test_stuck_parts.py",
    "tests/pipeline/live/cameras/test_http_streams.py",
    "tests/docs/test_embedders.py",
    "tests/pipeline/privacy/test_privacy.py",
    "tests/pipeline/benchmark/test_command.py",
    "tests/test_demo_scene_run.py",
    "tests/docs/test_large_sites.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of the longest files to the front."""
    place = {name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: place.get(item.location[0], len(place)))


@pytest.fixture(autouse=True, scope="session")
def export_cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Networks are exported once for all tests of a session, into a folder that all processes of pytest-xdist share."""
    before = os.environ.get(CACHE_VARIABLE)
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # getbasetemp() is a folder of this process in that of the session
    os.environ[CACHE_VARIABLE] = str(folder / "export-cache")
    # tiny networks of some tests do not displace those of others
    kept, export_cache.KEPT_NETWORKS = export_cache.KEPT_NETWORKS, 1000
    yield
    export_cache.KEPT_NETWORKS = kept
    os.environ.pop(CACHE_VARIABLE)
    if before is not None:
        os.environ[CACHE_VARIABLE] = before
