"""Distances to the known identities, kept from tick to tick."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.distances import embedding_distances, mean_embedding
from pipeline.cross_camera.feature_bank import FeatureBank
from pipeline.cross_camera.floor_path import FloorPath
from pipeline.cross_camera.gallery_distances import GalleryDistances
from pipeline.cross_camera.identities import IdentityTable
from pipeline.cross_camera.track_record import TrackRecord


def test_kept_distances_follow_the_table_and_the_track() -> None:
    """Whatever changes in between: they are those of a fresh comparison."""
    rng = np.random.default_rng(1)

    def unit() -> NDArray[np.float32]:
        vector = rng.normal(size=8)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    centres = CameraCentres(2)
    camera_row = {"a": 0, "b": 1}

    def look_of(record: TrackRecord) -> NDArray[np.float32]:
        return mean_embedding(centres.centred(record.bank.embeddings, camera_row[record.camera_id]))

    table = IdentityTable(2, 3, 0.999, centres)
    distances = GalleryDistances(table, look_of, lambda record: int(centres.version[camera_row[record.camera_id]]))
    records = [
        TrackRecord(
            "ab"[i % 2],
            i,
            0,
            0.0,
            0.0,
            bank=FeatureBank(4, 0.999),
            partial_bank=FeatureBank(4, 0.999),
            floor=FloorPath(4),
        )
        for i in (1, 2, 3)
    ]
    for step in range(60):
        action = step % 6
        if action in (0, 3):
            table.add(step, 0)
            table.see([step], 0, float(step))
        elif action in (1, 4):
            table.add_feature(int(rng.choice(table.global_id)), unit(), step % 2)
        elif action == 2:
            records[step % 3].bank.add(unit())
        elif step % 12 == 11:
            centres.learn(step % 2, unit())
            if centres.refresh():
                table.centre()
        elif step % 12 == 5:
            table.forget(float(step), 20.0, 100, set())
        if step % 2:
            distances.prepare(records[:2])
        for record in records:
            known = [mean_embedding(row[has]) for row, has in zip(table.features, table.has_feature, strict=True)]
            looks = [look if len(look) else np.zeros(8) for look in (look_of(record), *known)]
            fresh = embedding_distances(np.stack(looks[:1]), np.stack(looks[1:]) if known else np.zeros((0, 8)))[0]
            assert distances.of(record) == pytest.approx(fresh, abs=1e-6)
