"""Damaged files of runs and models: the result is right, or there is a clear error or a line in the log."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detectors.saved import SavedDetections
from pipeline.core.datatypes import Detections
from pipeline.core.decisions import Candidate, Decision, Obstacle, Outcome, Reason, Stage
from pipeline.core.errors import InputError, RunError
from pipeline.files.decision_file import DecisionWriter, read_decisions
from pipeline.files.readable_rows import ReadableRows, row_of
from pipeline.files.tracklet_file import read_tracklets
from pipeline.live.output.gallery_file import GALLERY_NAME, load_gallery, save_gallery
from pipeline.live.output.segments import segments
from pipeline.privacy.decisions import purge_decisions
from pipeline.privacy.export_person import export_person
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from pipeline.recorded.decision_sentences import facts, sentence
from pipeline.recorded.run_note import EarlierNote
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig
from reid.site.site import Site, load_site, save_site
from tests.detectors.test_saved import boxes, embedded, save
from tests.helpers.damage import Damage, damages, fuzz
from tests.pipeline.files.test_tracklet_file import content, some, write
from tests.pipeline.live.output.test_damaged_folder import start
from tests.pipeline.live.output.test_gallery_file import gallery
from tests.pipeline.privacy.test_privacy import live_folder, recorded_folder  # noqa: F401 - fixtures

#: Damages of one or two files, by their number in the folder.
several = st.lists(st.tuples(st.integers(0, 20), damages), min_size=1, max_size=2)


class Said(logging.Handler):
    """Counts warnings and errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        self.count += 1


@contextmanager
def logged() -> Iterator[Said]:
    said = Said()
    logger = logging.getLogger("pipeline")
    logger.addHandler(said)
    try:
        yield said
    finally:
        logger.removeHandler(said)


@contextmanager
def damaged_copy(folder: Path, changes: list[tuple[int, Damage]]) -> Iterator[Path]:
    """A copy of a folder with damaged files."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / folder.name
        shutil.copytree(folder, copy)
        files = sorted(path for path in copy.rglob("*") if path.is_file())
        for number, damage in changes:
            damage.apply(files[number % len(files)])
        yield copy


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@fuzz
@given(damage=damages)
def test_tracklets(shared: Path, damage: Damage) -> None:
    path = write(shared / "tracklets.arrow", some(40))
    whole = content(path)
    damage.apply(path)
    with logged() as said:
        try:
            left = content(path)
        except InputError:
            return
    assert left.items() <= whole.items()
    # A file that ends behind a batch may be one of a killed run.
    assert left == whole or said.count or damage.removed == 10**9


def read_detections(path: Path) -> list[tuple[object, ...]]:
    saved = SavedDetections(path)
    try:
        found = []
        for index, time_s in saved.times():
            of_frame = saved.at(index)
            arrays = (of_frame.xyxy, of_frame.confidence, of_frame.class_id, of_frame.embeddings)
            found.append((index, time_s, *(None if array is None else array.tobytes() for array in arrays)))
        return [(saved.info,), *found]
    finally:
        saved.close()


@fuzz
@given(damage=damages)
def test_saved_detections(shared: Path, damage: Damage) -> None:
    path = shared / "a.parquet"
    if not path.exists():
        one = embedded(boxes((1, 2, 30, 40, 0.9), (5, 0, 700, 480, 0.25)), [0, 1], 8)
        frames = [(index, one if index % 3 else Detections.empty()) for index in range(400)]
        save(path, frames, embedder_hash="e", embedding_dim=8)
    whole = read_detections(path)
    damaged = shared / "b.parquet"
    damaged.write_bytes(damage.of(path.read_bytes()))
    try:
        found = read_detections(damaged)
    except InputError:
        return
    assert found == whole


@fuzz
@given(damage=damages)
def test_gallery(shared: Path, damage: Damage) -> None:
    folder = shared / "gallery"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    save_gallery(folder / GALLERY_NAME, gallery(), "model", closing=True)
    whole = load_gallery(folder, "model")
    damage.apply(folder / GALLERY_NAME)
    with logged() as said:
        loaded = load_gallery(folder, "model")
    assert whole is not None
    assert loaded is not None
    if len(loaded):
        np.testing.assert_array_equal(loaded.features, whole.features)
        np.testing.assert_array_equal(loaded.centres.mean, whole.centres.mean)
        assert loaded.next_id == whole.next_id
    else:
        assert said.count


@fuzz
@given(changes=several)
def test_start_after_a_kill(live_folder: Path, changes: list[tuple[int, Damage]]) -> None:  # noqa: F811
    with damaged_copy(live_folder, changes) as folder, logged() as said:
        first_free = start(folder)
        ids = [row_of(row).link.global_id for path in segments(folder) for row in ReadableRows(path)]
        assert first_free > max(ids, default=0)
        assert not list(folder.glob("traj-*.part"))
        assert said.count


@fuzz
@given(changes=several)
def test_purge(live_folder: Path, changes: list[tuple[int, Damage]]) -> None:  # noqa: F811
    purge_one(live_folder, changes)


@fuzz
@given(changes=several)
def test_purge_of_a_recording(recorded_folder: Path, changes: list[tuple[int, Damage]]) -> None:  # noqa: F811
    purge_one(recorded_folder, changes)


def purge_one(whole: Path, changes: list[tuple[int, Damage]]) -> None:
    with damaged_copy(whole, changes) as folder, logged():
        try:
            run = RunFolder(folder)
            purge_person(run, 1, delete_shared=False)
            run.out_of_reach  # noqa: B018 - must be computable
        except (InputError, RunError):
            return
        rows = [row_of(row) for path in run.csv_files for row in run.rows(path)]
        assert 1 not in {row.link.global_id for row in rows}
        if (folder / "tracklets.arrow").exists():
            left = {(row.row.camera_id, row.row.track_id) for row in rows}
            assert {tracklet.key for tracklet in read_tracklets(folder / "tracklets.arrow")} <= left
        if (folder / GALLERY_NAME).exists():
            known = load_gallery(folder, "model")
            assert known is not None
            assert 1 not in known.global_id.tolist()
            assert not known.centres.mean.any()


@fuzz
@given(changes=several)
def test_export(live_folder: Path, changes: list[tuple[int, Damage]]) -> None:  # noqa: F811
    with damaged_copy(live_folder, changes) as folder, logged():
        try:
            found = export_person(RunFolder(folder), 1, folder / "export")
        except (InputError, RunError):
            return
        assert {int(row["global_id"]) for row in found["rows"]} <= set(found["all_ids"])


@fuzz
@given(damage=damages)
def test_run_note(shared: Path, damage: Damage) -> None:
    path = shared / "run.json"
    path.write_text(
        '{"state": "running", "epoch_utc": "2026-05-01T10:00:00+00:00", "cameras": {"a": {"tracks": 3}}}'
    )
    damage.apply(path)
    try:
        note = EarlierNote(path)
        note.write_linked(
            shared / "new.json",
            USED,
            global_ids={"person": 1},
            fragments={},
            rows=2,
            tracks={"a": 4},
            forgotten={"unseen": 1},
            killed=True,
        )
    except (InputError, RunError):
        return


@fuzz
@given(damage=damages)
def test_decisions(shared: Path, damage: Damage) -> None:
    path = shared / "decisions.jsonl"
    candidates = (Candidate(2, 0.25, None, 0.5), Candidate(3, 0.5, 1.5, None, Obstacle.APART))
    with DecisionWriter(path) as writer:
        for number in range(1, 4):
            decision = Decision(
                Stage.SECOND_PASS, 1.5, "hall", number, Outcome.LINKED, Reason.JOINED, 2, 3, 0.35, 0.5, candidates
            )
            writer.write(replace(decision, joined=(("gate", 1),)))
    damage.apply(path)
    with logged():
        try:
            found = list(read_decisions(path))
        except InputError:
            return
        for one in found:
            assert sentence(one)
            assert facts(one)
        purge_decisions(path, lambda key: key[1] != 2)
        assert all(one.track_id != 2 for one in read_decisions(path))


USED = {
    "linker": {},
    "second_pass": {},
    "output": {"interpolate": False, "interpolate_max_gap_s": 1.0, "save_decisions": True},
}
TINY = TransReIDConfig(width=32, depth=1, heads=4, image_size=(32, 32), cameras=2, unknown_row=True)


@fuzz
@given(damage=damages)
def test_checkpoint(shared: Path, damage: Damage) -> None:
    path = shared / "model.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        save_checkpoint(path, TransReID(TINY), camera_names=("a", "b"))
    damaged = shared / "damaged.safetensors"
    damaged.write_bytes(damage.of(path.read_bytes()))
    try:
        loaded = load_checkpoint(damaged)
    except InputError:
        return
    whole = load_checkpoint(path)
    if loaded.model_hash == whole.model_hash:
        for one, other in zip(loaded.model.parameters(), whole.model.parameters(), strict=True):
            assert torch.equal(one, other)


@fuzz
@given(damage=damages)
def test_site(shared: Path, damage: Damage) -> None:
    path = shared / "site.safetensors"
    rows = np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32)
    save_site(path, Site("0123456789abcdef", ("hall", "door"), rows, means=rows.copy()))
    damage.apply(path)
    try:
        site = load_site(path)
    except InputError:
        return
    assert np.array_equal(site.rows, rows)
