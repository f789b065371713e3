"""A run of the looped scene, which tests copy before they change it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers import looped_scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recordings `left.mp4` and `right.mp4` and the folder `run`."""
    folder = tmp_path_factory.mktemp("scene")
    looped_scene.run_scene(folder / "run", looped_scene.write_recordings(folder))
    return folder


@pytest.fixture
def run(scene: Path, tmp_path: Path) -> Path:
    """A copy of the run, whose recordings are still there."""
    return Path(shutil.copytree(scene / "run", tmp_path / "run"))
