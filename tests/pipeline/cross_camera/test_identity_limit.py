"""How many identities fit into the memory for them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.identities import IdentityTable
from pipeline.cross_camera.identity_columns import Columns, FeatureBlocks
from pipeline.cross_camera.identity_limit import Forgotten, identity_bytes, online_limit, second_pass_limit
from tests.helpers.factories import linker_settings


@pytest.mark.parametrize(
    ("limit", "memory_mb", "online", "second_pass"),
    [
        # Online: 16 x (384 x 4 + 17) + 384 x 4 + 50 x 8 + 40 x 24 + 400 = 28,144 bytes, and in the second pass
        # 384 x 12 + 250 x 16 + 3,000 = 11,608 bytes.
        pytest.param("auto", 1024.0, 2**30 // 28_144, 2**30 // 11_608, id="auto"),
        pytest.param("auto", 0.001, 1, 1, id="auto, at least one"),
        pytest.param(1000, 1024.0, 1000, 1000, id="a number"),
    ],
)
def test_the_limit(limit: int | str, memory_mb: float, online: int, second_pass: int) -> None:
    settings = linker_settings(max_identities=limit, identity_memory_mb=memory_mb, features_per_identity=16)
    assert online_limit(settings, 50, 384) == online
    assert second_pass_limit(settings, 250, 384) == second_pass


def test_the_bytes_of_an_identity_are_those_of_its_arrays() -> None:
    """Without the spare rows, which are a quarter of all but the embeddings."""
    settings = linker_settings(features_per_identity=16)
    table = IdentityTable(50, 16, 0.95, CameraCentres(50))
    for global_id in range(512):
        table.add(global_id, 0)
    table.add_feature(0, np.ones(384, np.float32) / np.sqrt(np.float32(384)), 0)
    columns: Columns = table._columns
    arrays = [getattr(columns, name) for name in columns.__dataclass_fields__]
    held = sum(array.nbytes * 512 / columns.room for array in arrays if not isinstance(array, FeatureBlocks))
    held += sum(block.nbytes for block in columns.feature._blocks)
    assert held / 512 == pytest.approx(identity_bytes(settings, 50, 384), rel=0.02)


def test_numbers_of_forgotten_identities_add_up() -> None:
    assert Forgotten(1, 2) + Forgotten(3, 4) == Forgotten(4, 6)
