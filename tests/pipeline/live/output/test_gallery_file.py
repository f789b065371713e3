from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.cross_camera.camera_centres import CentreState
from pipeline.cross_camera.gallery import Gallery
from pipeline.live.host_clock import HostClock
from pipeline.live.output.gallery_file import (
    GALLERY_NAME,
    keep_people,
    load_gallery,
    person_in,
    save_gallery,
    without_forgotten,
)
from pipeline.live.output.segments import SegmentWriter, row_line
from tests.helpers.live.rows import START_S, row


def gallery(people: int = 3) -> Gallery:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((people, 4, 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    last_seen_s = np.full((people, 2), -np.inf)
    last_seen_s[:, 0] = START_S + 100 * np.arange(people)
    return Gallery(
        camera_ids=("a", "b"),
        next_id=people + 5,
        global_id=np.arange(1, people + 1),
        class_id=np.zeros(people, np.int64),
        last_seen_s=last_seen_s,
        features=features,
        has_feature=np.ones((people, 4), np.bool_),
        feature_camera=rng.integers(0, 2, (people, 4)),
        centres=CentreState(features[:2, 0], np.array([4.0, 2.0])),
        last_floor_s=np.full(people, np.nan),
        last_floor_xy_m=np.full((people, 2), np.nan),
    )


def test_everything_that_matters_comes_back(tmp_path: Path) -> None:
    saved = gallery()
    save_gallery(tmp_path / GALLERY_NAME, saved, "model", closing=True)
    loaded = load_gallery(tmp_path, "model")
    assert loaded is not None
    assert loaded.camera_ids == saved.camera_ids
    assert loaded.next_id == saved.next_id
    for name in (
        "global_id",
        "class_id",
        "last_seen_s",
        "has_feature",
        "feature_camera",
        "last_floor_s",
        "last_floor_xy_m",
    ):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
    for name in ("mean", "tracks"):
        np.testing.assert_array_equal(getattr(loaded.centres, name), getattr(saved.centres, name))
    # Half precision: about 1e-3 of each value.
    np.testing.assert_allclose(loaded.features, saved.features, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(loaded.features, axis=2), 1, atol=1e-6)
    assert (tmp_path / GALLERY_NAME).stat().st_mode & 0o777 == 0o600


def test_after_a_kill_ids_begin_after_all_that_may_have_been_given(tmp_path: Path) -> None:
    save_gallery(tmp_path / GALLERY_NAME, gallery(), "model")
    loaded = load_gallery(tmp_path, "model")
    assert loaded is not None
    assert loaded.next_id == gallery().next_id + 10_000


def test_features_of_another_model_are_not_compared_but_ids_go_on(tmp_path: Path) -> None:
    save_gallery(tmp_path / GALLERY_NAME, gallery(), "model", closing=True)
    loaded = load_gallery(tmp_path, "another")
    assert loaded is not None
    assert (len(loaded), loaded.next_id) == (0, gallery().next_id)


@pytest.mark.parametrize("embedder", ["model", "another"])
def test_ids_in_rows_that_are_newer_than_the_file_are_not_given_again(tmp_path: Path, embedder: str) -> None:
    """The disk took rows but no checkpoint, and then the run was killed."""
    path = tmp_path / GALLERY_NAME
    save_gallery(path, gallery(), "model", closing=True)
    old_s = path.stat().st_mtime - 100
    os.utime(path, (old_s, old_s))
    output = SegmentWriter(tmp_path, "run", HostClock(), segment_s=10, segment_max_bytes=10**6, fsync_interval_s=1)
    output.write_rows([row_line(row(0, global_id=gallery().next_id + 7))])
    output.close()
    assert keep_people(path, lambda global_id, last_seen_s: global_id != 1) == 1  # as a purge does
    loaded = load_gallery(tmp_path, embedder)
    assert loaded is not None
    assert loaded.next_id == gallery().next_id + 8
    assert len(loaded) == (2 if embedder == "model" else 0)


@pytest.mark.parametrize("damage", [b"", b"no archive", None], ids=["empty", "other content", "absent"])
def test_without_a_readable_file_ids_go_on_after_those_in_the_csv(tmp_path: Path, damage: bytes | None) -> None:
    output = SegmentWriter(tmp_path, "run", HostClock(), segment_s=10, segment_max_bytes=10**6, fsync_interval_s=1)
    output.write_rows([row_line(row(0, global_id=4)), row_line(row(1, global_id=41)), row_line(row(2))])
    output.close()
    if damage is not None:
        (tmp_path / GALLERY_NAME).write_bytes(damage)
    loaded = load_gallery(tmp_path, "model")
    assert loaded is not None
    assert (len(loaded), loaded.next_id) == (0, 42)
    assert (tmp_path / "gallery.damaged").exists() == (damage is not None)


def test_a_file_of_version_2_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / GALLERY_NAME
    monkeypatch.setattr("pipeline.live.output.gallery_file._VERSION", 2)
    save_gallery(path, gallery(), "model", closing=True)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(tmp_path / "two.npz", camera_embeddings=np.array([8.0, 3.0]), **arrays)
    (tmp_path / "two.npz").replace(path)
    monkeypatch.undo()
    loaded = load_gallery(tmp_path, "model")
    assert loaded is not None
    assert loaded.next_id == gallery().next_id
    np.testing.assert_array_equal(loaded.centres.tracks, [4.0, 2.0])


@pytest.mark.parametrize("version", [1, 99])
def test_a_file_of_another_version_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, version: int
) -> None:
    path = tmp_path / GALLERY_NAME
    monkeypatch.setattr("pipeline.live.output.gallery_file._VERSION", version)
    save_gallery(path, gallery(), "model", closing=True)
    monkeypatch.undo()
    with pytest.raises(InputError, match=f"is of format version {version}, and this program reads version 3"):
        person_in(path, 1)
    loaded = load_gallery(tmp_path, "model")
    assert loaded is not None
    assert (len(loaded), loaded.next_id) == (0, gallery().next_id)
    assert f"is of format version {version}, and this program reads version 3: people known so far" in caplog.text
    assert "damaged" not in caplog.text
    assert [each.name for each in tmp_path.iterdir()] == ["gallery.other_version"]


def test_a_first_run_has_no_gallery(tmp_path: Path) -> None:
    assert load_gallery(tmp_path, "model") is None


def test_people_whom_nobody_saw_for_too_long_are_forgotten() -> None:
    kept = without_forgotten(gallery(), START_S + 250, memory_s=160)
    assert kept.global_id.tolist() == [2, 3]
    assert len(kept.features) == len(kept.last_seen_s) == len(kept.has_feature) == 2
    nobody = replace(gallery(0), camera_ids=())
    assert len(without_forgotten(nobody, START_S, 1.0)) == 0
