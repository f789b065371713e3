from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.saved import DetectionWriter, ReplayDetector, SavedDetections, SavedFrames
from pipeline.core.datatypes import Detections, EmbeddedCrops, Frame
from pipeline.core.errors import InputError

SIZE_WH = (640, 480)


def frame(index: int, camera_id: str = "lobby", size_wh: tuple[int, int] = SIZE_WH) -> Frame:
    return Frame(camera_id=camera_id, frame_index=index, time_s=index / 10, size_wh=size_wh, image=None)


def boxes(*left_top_right_bottom_confidence: tuple[float, ...], class_id: int = 0) -> Detections:
    rows = np.array(left_top_right_bottom_confidence, np.float32).reshape(-1, 5)
    return Detections(
        xyxy=rows[:, :4].copy(),
        confidence=rows[:, 4].copy(),
        class_id=np.full(len(rows), class_id, np.int64),
    )


def embedded(detections: Detections, rows: list[int], dim: int, seed: int = 0) -> Detections:
    vectors = np.random.default_rng(seed).normal(size=(len(rows), dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return detections.with_embeddings(
        np.array(rows, np.int64), EmbeddedCrops(embeddings=vectors, valid=np.ones(len(rows), np.bool_))
    )


def save(
    path: Path,
    frames: list[tuple[int, Detections]],
    *,
    camera_id: str = "lobby",
    class_names: dict[int, str] | None = None,
    embedder_hash: str = "",
    embedding_dim: int | None = None,
) -> Path:
    with DetectionWriter(
        path,
        camera_id=camera_id,
        size_wh=SIZE_WH,
        frame_rate=10.0,
        class_names=class_names or {0: "person"},
        detector_hash="d" * 16,
        embedder_hash=embedder_hash,
        embedding_dim=embedding_dim,
    ) as writer:
        for index, detections in frames:
            writer.write(frame(index, camera_id), detections)
    return path


def same(found: Detections, expected: Detections) -> None:
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    np.testing.assert_array_equal(found.class_id, expected.class_id)


class TestRoundTrip:
    def test_boxes_frames_and_what_the_file_says(self, tmp_path: Path) -> None:
        frames = [
            (0, Detections.empty()),
            (1, boxes((1, 2, 30, 40, 0.9), (-5, 0, 700, 480, 0.25))),
            (2, Detections.empty()),
            (5, boxes((10, 20, 30, 40, 0.5))),
            (6, Detections.empty()),
        ]
        saved = SavedDetections(save(tmp_path / "a.parquet", frames))
        for index, expected in frames:
            same(saved.at(index), expected)
            assert saved.at(index).embeddings is None
        info = saved.info
        assert (info.camera_id, info.size_wh, info.frame_rate) == ("lobby", SIZE_WH, 10.0)
        assert (info.frame_count, info.class_names) == (5, {0: "person"})
        assert (info.detector_hash, info.embedder_hash, info.embedding_dim) == ("d" * 16, "", None)

    def test_a_recording_without_anybody(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.parquet", [(i, Detections.empty()) for i in range(3)])
        assert len(SavedDetections(path).at(2)) == 0
        with SavedFrames(path) as source:
            assert [f.frame_index for f in source] == [0, 1, 2]

    def test_a_recording_without_frames(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.parquet", [])
        with SavedFrames(path) as source:
            assert (source.frame_count, list(source)) == (0, [])

    def test_embeddings_come_back_at_length_one_and_only_where_they_were(self, tmp_path: Path) -> None:
        first = embedded(boxes((0, 0, 9, 9, 0.5), (0, 0, 8, 8, 0.4), (0, 0, 7, 7, 0.3)), [0, 2], dim=48)
        frames = [(0, first), (1, boxes((0, 0, 6, 6, 0.5))), (2, Detections.empty())]
        saved = SavedDetections(save(tmp_path / "a.parquet", frames, embedder_hash="e" * 16, embedding_dim=48))
        found = saved.at(0)
        assert found.embeddings is not None
        assert found.embedded is not None
        assert first.embeddings is not None
        assert found.embedded.tolist() == [True, False, True]
        np.testing.assert_allclose(found.embeddings, first.embeddings, atol=5e-4)  # float16 has 11 bits
        np.testing.assert_allclose(np.linalg.norm(found.embeddings[[0, 2]], axis=1), 1, atol=1e-6)
        assert not found.embeddings[1].any()
        plain = saved.at(1)
        assert plain.embedded is not None
        assert plain.embedded.tolist() == [False]
        assert saved.at(2).embeddings is not None
        assert len(saved.at(2)) == 0

    def test_many_row_groups_in_any_order(self, tmp_path: Path) -> None:
        frames = [(i, boxes(*[(j, i % 100, j + 1, 200, 0.5) for j in range(100)])) for i in range(0, 300, 3)]
        path = save(tmp_path / "a.parquet", frames)
        assert pq.ParquetFile(path).num_row_groups == 3
        saved = SavedDetections(path)
        for index, expected in [frames[0], frames[99], frames[41], frames[40], frames[98]]:
            same(saved.at(index), expected)

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(counts=st.lists(st.integers(0, 3), max_size=12))
    def test_any_pattern_of_empty_frames(self, tmp_path: Path, counts: list[int]) -> None:
        frames = [(i, boxes(*[(j, i, j + 5, i + 5, 0.5) for j in range(n)])) for i, n in enumerate(counts)]
        path = save(tmp_path / "a.parquet", frames)
        saved = SavedDetections(path)
        assert [len(saved.at(i)) for i in range(len(counts))] == counts
        assert [(i, t) for i, t in saved.times()] == [(i, i / 10) for i in range(len(counts))]

    def test_what_was_written_before_a_failure_can_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        writer = DetectionWriter(
            path, camera_id="c", size_wh=SIZE_WH, frame_rate=10.0, class_names={0: "person"}, detector_hash="d"
        )

        def interrupted_run() -> None:
            with writer:
                writer.write(frame(0), boxes((1, 2, 3, 4, 0.5)))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted_run()
        assert len(SavedDetections(path).at(0)) == 1

    def test_frames_out_of_order_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="frame index 3 after 3"):
            save(tmp_path / "a.parquet", [(3, Detections.empty()), (3, Detections.empty())])

    def test_saved_frames_have_their_times_and_no_pictures(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.parquet", [(0, boxes((1, 2, 3, 4, 0.5), (1, 2, 3, 5, 0.5))), (4, boxes())])
        with SavedFrames(path) as source:
            assert (source.camera_id, source.frame_rate, source.size_wh) == ("lobby", 10.0, SIZE_WH)
            frames = list(source)
        assert [(f.frame_index, f.time_s, f.image) for f in frames] == [(0, 0.0, None), (4, 0.4, None)]

    @pytest.mark.parametrize(
        ("indices", "step"), [([0, 1, 2, 3], 1), ([0, 5, 10, 15], 5), ([3, 8, 13], 5), ([], 1)]
    )
    def test_the_step_between_saved_frames_is_that_of_their_indices(
        self, tmp_path: Path, indices: list[int], step: int
    ) -> None:
        path = save(tmp_path / "a.parquet", [(index, Detections.empty()) for index in indices])
        with SavedFrames(path) as source:
            assert source.index_step == step


class TestReplay:
    def test_each_camera_has_its_file_and_frames_come_mixed(self, tmp_path: Path) -> None:
        hall = save(tmp_path / "hall.parquet", [(0, boxes((1, 1, 5, 5, 0.9))), (1, boxes())], camera_id="hall")
        (tmp_path / "det.txt").write_text("2,-1,10,20,30,40,0.5,-1,-1,-1\n1,-1,1,2,3,4,0.75,-1,-1,-1\n")
        detector = ReplayDetector({"hall": hall, "yard": tmp_path / "det.txt"})
        found = detector.detect([frame(0, "yard"), frame(0, "hall"), frame(1, "yard"), frame(1, "hall")])
        same(found[0], boxes((1, 2, 4, 6, 0.75)))
        same(found[1], boxes((1, 1, 5, 5, 0.9)))
        same(found[2], boxes((10, 20, 40, 60, 0.5)))
        assert len(found[3]) == 0
        assert len(detector.detect([frame(77, "yard")])[0]) == 0
        assert detector.class_names == {0: "person"}
        assert len(detector.model_hash) == 16

    def test_weak_boxes_can_be_left_out(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.parquet", [(0, boxes((1, 1, 5, 5, 0.9), (1, 1, 6, 6, 0.2)))])
        found = ReplayDetector({"lobby": path}, confidence_min=0.5).detect([frame(0)])[0]
        same(found, boxes((1, 1, 5, 5, 0.9)))

    def test_the_hash_follows_the_content(self, tmp_path: Path) -> None:
        a = save(tmp_path / "a.parquet", [(0, boxes((1, 1, 5, 5, 0.9)))])
        b = save(tmp_path / "b.parquet", [(0, boxes((1, 1, 5, 6, 0.9)))])
        assert ReplayDetector({"lobby": a}).model_hash != ReplayDetector({"lobby": b}).model_hash

    @pytest.mark.parametrize(
        ("row", "confidence"),
        [
            ("1,-1,1,2,3,4", 1.0),
            ("1,-1,1,2,3,4,-1", 1.0),
            ("1,-1,1,2,3,4,-1,-1,-1,-1", 1.0),
            ("1,7,1,2,3,4,0", 0.0),
        ],
        ids=["absent", "-1", "-1 of ten columns", "0"],
    )
    def test_confidence_of_a_text_file(self, tmp_path: Path, row: str, confidence: float) -> None:
        (tmp_path / "det.txt").write_text(f"\n{row}\n\n")
        found = ReplayDetector({"lobby": tmp_path / "det.txt"}, class_name="car")
        same(found.detect([frame(0)])[0], boxes((1, 2, 4, 6, confidence)))
        assert found.class_names == {0: "car"}

    def test_embeddings_are_passed_on(self, tmp_path: Path) -> None:
        detections = embedded(boxes((0, 0, 9, 9, 0.5)), [0], dim=8)
        path = save(tmp_path / "a.parquet", [(0, detections)], embedder_hash="e" * 16, embedding_dim=8)
        detector = ReplayDetector({"lobby": path})
        assert (detector.embedder_hash, detector.embedding_dim) == ("e" * 16, 8)
        found = detector.detect([frame(0)])[0]
        assert found.embeddings is not None
        assert found.embeddings.shape == (1, 8)

    def test_embeddings_of_different_models_are_refused(self, tmp_path: Path) -> None:
        detections = embedded(boxes((0, 0, 9, 9, 0.5)), [0], dim=8)
        files = {
            name: save(
                tmp_path / f"{name}.parquet",
                [(0, detections if embedder_hash else boxes())],
                camera_id=name,
                embedder_hash=embedder_hash,
                embedding_dim=8 if embedder_hash else None,
            )
            for name, embedder_hash in (("hall", "a" * 16), ("plain", ""), ("yard", "b" * 16))
        }
        with pytest.raises(InputError, match=f"{'a' * 16}.*{'b' * 16}.*cannot be compared"):
            ReplayDetector(files)
        del files["yard"]
        assert ReplayDetector(files).embedder_hashes == {"hall": "a" * 16, "plain": ""}


class TestRefused:
    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            ("1,-1,1,2,3", "line 3: 5 columns"),
            ("1,-1,1,2,3,4,0.5,1,1,1,1", "line 3: 11 columns"),
            ("1,-1,1,2,3,4", "line 3: 6 columns, but the lines before have 7"),
            ("1,-1,nan,2,3,4,0.5", "line 3: not a finite number"),
            ("1,-1,1,2,inf,4,0.5", "line 3: not a finite number"),
            ("1,-1,1,2,-3,4,0.5", "line 3: a box of -3 x 4 pixels"),
            ("1,-1,1,2,3,0,0.5", "line 3: a box of 3 x 0 pixels"),
            ("0,-1,1,2,3,4,0.5", "line 3: frame 0"),
            ("1.5,-1,1,2,3,4,0.5", "line 3: frame 1.5"),
            ("1,-1,1,2,3,4,37", "line 3: confidence 37"),
            ("1,-1,left,2,3,4,0.5", "line 3: 'left' is not a number"),
            ("frame id left", "line 3: 1 columns"),
        ],
    )
    def test_a_bad_row_of_a_text_file(self, tmp_path: Path, line: str, problem: str) -> None:
        path = tmp_path / "det.txt"
        path.write_text(f"1,-1,1,2,3,4,0.5\n\n{line}\n")
        with pytest.raises(InputError) as caught:
            ReplayDetector({"lobby": path})
        assert f"{path}, {problem}" in str(caught.value)

    @pytest.mark.parametrize("name", ["no.txt", "no.parquet"])
    def test_a_missing_file(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match=f"{name} do not exist"):
            ReplayDetector({"lobby": tmp_path / name})

    def test_a_file_that_was_not_finished(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.parquet", [(0, boxes((1, 1, 5, 5, 0.9)))])
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(InputError, match="not a complete Parquet file"):
            SavedDetections(path)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.parquet").touch()
        with pytest.raises(InputError, match="not a complete Parquet file"):
            SavedDetections(tmp_path / "a.parquet")

    def test_a_parquet_file_of_something_else(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
        with pytest.raises(InputError, match="something else"):
            SavedDetections(tmp_path / "a.parquet")

    @pytest.mark.parametrize(
        ("column", "value"), [("x2", -1.0), ("x1", np.nan), ("confidence", np.nan), ("confidence", 1.5)]
    )
    def test_a_bad_row_of_a_parquet_file(self, tmp_path: Path, column: str, value: float) -> None:
        path = save(tmp_path / "a.parquet", [(0, boxes()), (1, boxes((0, 0, 1, 1, 0.5), (0, 0, 2, 2, 0.5)))])
        table = pq.read_table(path)
        values = table[column].to_pylist()
        values[2] = value
        index = table.schema.get_field_index(column)
        table = table.set_column(index, table.schema.field(index), pa.array(values, pa.float32()))
        metadata = pq.ParquetFile(path).metadata.metadata
        pq.write_table(table.replace_schema_metadata({"detections": metadata[b"detections"]}), path)
        assert len(SavedDetections(path).info.class_names) == 1, "the rest of the file is whole"
        with pytest.raises(InputError, match="row 2 "):
            SavedDetections(path).at(1)

    def test_a_frame_that_is_not_in_the_file(self, tmp_path: Path) -> None:
        detector = ReplayDetector({"lobby": save(tmp_path / "a.parquet", [(0, boxes()), (2, boxes())])})
        for index in (1, 3):
            with pytest.raises(InputError, match=f"has no frame index {index} .it holds 2 frames"):
                detector.detect([frame(index)])

    def test_frames_of_another_size(self, tmp_path: Path) -> None:
        detector = ReplayDetector({"lobby": save(tmp_path / "a.parquet", [(0, boxes())])})
        with pytest.raises(InputError, match=r"frames of 640x480.*are 1920x1080"):
            detector.detect([frame(0, size_wh=(1920, 1080))])

    def test_a_camera_without_a_file(self, tmp_path: Path) -> None:
        detector = ReplayDetector({"lobby": save(tmp_path / "a.parquet", [(0, boxes())])})
        with pytest.raises(InputError, match="for camera yard; there are files for: lobby"):
            detector.detect([frame(0, "yard")])

    def test_a_class_id_with_two_names(self, tmp_path: Path) -> None:
        files = {
            name: save(tmp_path / f"{name}.parquet", [(0, boxes())], camera_id=name, class_names={0: name})
            for name in ("person", "car")
        }
        with pytest.raises(InputError, match=r"class id 0 is 'car' .*'person'"):
            ReplayDetector(files)


# -- text that belongs to another recording ------------------------------------------------------------------------


def det_txt(folder: Path, rows: list[tuple[int, float, float]]) -> Path:
    """Boxes of 20 x 40 px: frame from 1, left, top."""
    path = folder / "det.txt"
    path.write_text("".join(f"{frame},-1,{left},{top},20,40,0.9\n" for frame, left, top in rows))
    return path


def test_boxes_outside_the_picture_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = det_txt(tmp_path, [(1, 10, 10), (1, 1800, 10), (2, 10, 900), (2, -40, 10), (3, 610, 430)])
    detector = ReplayDetector({"lobby": path})
    for index in range(3):
        detector.detect([frame(index)])
    assert (
        caplog.text.count("the centres of 3 of 5 boxes are outside the picture of camera lobby, which is 640x480")
        == 1
    )
    assert "boxes reach to 1820, 940" in caplog.text


def test_boxes_after_the_end_are_counted(tmp_path: Path) -> None:
    detector = ReplayDetector({"lobby": det_txt(tmp_path, [(1, 10, 10), (4, 10, 10), (5, 10, 10), (5, 50, 10)])})
    detector.detect([frame(0), frame(3)])
    assert detector.unused(stride=3) == []
    (sentence,) = detector.unused()
    assert "2 of 4 boxes are not used, because they are in frames after 4" in sentence
    detector.detect([frame(4)])
    assert detector.unused() == []


def test_saved_detections_of_a_longer_recording_are_told(tmp_path: Path) -> None:
    path = save(tmp_path / "a.parquet", [(index, boxes((0, 0, 10, 10, 0.9))) for index in range(24)])
    replay = ReplayDetector({"lobby": path})
    replay.detect([frame(9)])
    assert replay.unused() == [
        f"{path} was saved from 24 frames, but the last one of camera lobby is 10: does the file belong to this "
        "recording?"
    ]
    replay.detect([frame(20)])
    assert replay.unused(stride=5) == []
    replay.detect([frame(23)])
    assert replay.unused() == []
    replay.close()


@pytest.mark.parametrize(
    ("rate", "said"),
    [(10.0, ""), (10.01, ""), (12.5, "frame 4 comes 0.300 s after the first one, but 0.240 s"), (5.0, "frame 2 ")],
)
def test_saved_detections_of_a_recording_with_another_frame_rate_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rate: float, said: str
) -> None:
    """Frames have the same numbers, so that every box would be used at another time."""
    path = save(tmp_path / "a.parquet", [(index, boxes((0, 0, 10, 10, 0.9))) for index in range(24)])
    replay = ReplayDetector({"lobby": path})
    for index in range(24):  # times of a recording that began earlier do not matter
        replay.detect([replace(frame(index), time_s=7.0 + index / rate)])
    replay.close()
    assert [record.getMessage().count("was saved at 10 frames/s") for record in caplog.records] == (
        [1] * bool(said)
    )
    assert said in caplog.text


def test_boxes_in_shares_of_the_picture_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "det.txt"
    path.write_text("1,-1,0.1,0.2,0.3,0.5,0.9\n")
    ReplayDetector({"lobby": path}).detect([frame(0)])
    assert "det.txt: no box reaches further than 0.7 px: are these shares of the picture?" in caplog.text


def test_equal_boxes_of_a_text_are_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that was appended to itself would otherwise give everybody two tracks."""
    path = tmp_path / "det.txt"
    path.write_text("1,-1,10,20,30,40,0.8\n1,-1,10,20,30,40,0.9\n1,-1,11,20,30,40,0.5\n2,-1,10,20,30,40,0.8\n")
    [found] = ReplayDetector({"lobby": path}).detect([frame(0)])
    assert found.xyxy[:, 0].tolist() == [10, 11]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.5])
    assert "det.txt: 1 boxes are equal to another one of their frame and are left out" in caplog.text


def test_the_stride_of_a_text_is_found(tmp_path: Path) -> None:
    detector = ReplayDetector({"lobby": det_txt(tmp_path, [(frame, 10, 10) for frame in range(2, 40, 2)])})
    assert detector.text_grids == {"lobby": (2, 1)}


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_text_in_another_encoding_is_said_so(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "det.txt"
    path.write_text("1,-1,10,20,30,40,0.9\n# Ä\n", encoding=encoding)
    with pytest.raises(InputError, match="is not text in UTF-8"):
        ReplayDetector({"lobby": path})
