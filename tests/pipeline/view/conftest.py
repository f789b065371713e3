"""A run of the looped scene with its recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import looped_scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recordings `left.mp4` and `right.mp4` and the folder `run`."""
    folder = tmp_path_factory.mktemp("viewed")
    looped_scene.run_scene(folder / "run", looped_scene.write_recordings(folder))
    return folder
