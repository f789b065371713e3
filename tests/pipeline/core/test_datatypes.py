from __future__ import annotations

import numpy as np
import pytest

from pipeline.core.datatypes import Detections, EmbeddedCrops, FloatArray, Frame
from pipeline.core.fake_models import FakeDetector, FakeEmbedder
from tests.helpers.factories import make_detections, make_frame, make_tracklet, one_hot

BOX = (10, 20, 50, 120)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"xyxy": np.zeros((1, 5), np.float32)}, r"xyxy must have shape \(1, 4\).*has \(1, 5\)"),
        ({"xyxy": np.zeros((1, 4))}, "xyxy must have .*float32, but has .*float64"),
        ({"xyxy": np.full((1, 4), np.nan, np.float32)}, "xyxy must be finite"),
        ({"xyxy": np.array([[0, 0, np.inf, 1]], np.float32)}, "xyxy must be finite"),
        ({"confidence": np.zeros(2, np.float32)}, r"confidence must have shape \(1\)"),
        ({"confidence": np.array([1.1], np.float32)}, r"confidence must be in \[0, 1\].*1\.1"),
        ({"confidence": np.array([np.nan], np.float32)}, r"confidence must be in \[0, 1\].*nan"),
        ({"confidence": [0.5]}, "confidence must be a numpy array .*, but is list"),
        ({"class_id": np.zeros(1, np.int32)}, "class_id must have .*int64, but has .*int32"),
        ({"embeddings": one_hot(0)}, "embeddings and Detections.embedded must be given together"),
        ({"embeddings": one_hot(0, 1), "embedded": np.ones(1, np.bool_)}, r"embeddings must have shape \(1, _\)"),
        ({"embeddings": one_hot(0), "embedded": np.ones(1, np.int64)}, "embedded must have .*bool"),
    ],
)
def test_wrong_arrays_are_refused_with_field_and_shape(changes: dict[str, object], message: str) -> None:
    good = {
        "xyxy": np.zeros((1, 4), np.float32),
        "confidence": np.full(1, 0.5, np.float32),
        "class_id": np.zeros(1, np.int64),
    }
    Detections(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        Detections(**{**good, **changes})  # type: ignore[arg-type]


def test_no_detections() -> None:
    assert len(Detections.empty()) == 0
    assert len(Detections.empty()[np.zeros(0, np.bool_)]) == 0


def test_choosing_rows_takes_all_fields_along() -> None:
    detections = make_detections(
        [BOX, (0, 0, 1, 1), BOX], [0.1, 0.2, 0.3], class_id=[4, 5, 6], embeddings=one_hot(0, 1, 2)
    )
    for rows in (np.array([2, 0]), np.array([True, False, True])):
        chosen = detections[rows]
        expected = [2, 0] if rows.dtype != np.bool_ else [0, 2]
        assert chosen.class_id.tolist() == [4 + row for row in expected]
        assert chosen.confidence == pytest.approx([0.1 + 0.1 * row for row in expected])
        assert chosen.embeddings is not None
        assert chosen.embeddings.argmax(axis=1).tolist() == expected


def test_embeddings_are_filled_in_row_by_row() -> None:
    detections = make_detections([BOX] * 4)
    first = detections.with_embeddings(np.array([2, 0]), EmbeddedCrops(one_hot(2, 0), np.array([True, True])))
    assert first.embedded is not None
    assert first.embeddings is not None
    assert first.embedded.tolist() == [True, False, True, False]
    assert first.xyxy is detections.xyxy
    rejected = EmbeddedCrops(np.zeros((1, 8), np.float32), np.array([False]))
    second = first.with_embeddings(np.array([3]), rejected)
    assert second.embedded is not None
    assert second.embedded.tolist() == [True, False, True, False]
    assert detections.embeddings is None
    with pytest.raises(ValueError, match="2 rows but 1 embedded crops"):
        first.with_embeddings(np.array([1, 2]), rejected)


def test_a_picture_must_have_the_size_of_its_frame() -> None:
    image = np.zeros((50, 100, 3), np.uint8)
    Frame("a", 0, 0.0, (100, 50), image)
    with pytest.raises(ValueError, match=r"Frame.image must have shape \(100, 50, 3\)"):
        Frame("a", 0, 0.0, (50, 100), image)


def test_crops_must_agree_in_number() -> None:
    with pytest.raises(ValueError, match="EmbeddedCrops"):
        EmbeddedCrops(one_hot(0), np.ones(2, np.bool_))


def test_a_tracklet_is_known_by_camera_and_track() -> None:
    assert make_tracklet("hall", 7).key == ("hall", 7)


def test_the_fake_detector_asks_its_function_for_every_frame() -> None:
    detector = FakeDetector(lambda frame: make_detections([BOX] * frame.frame_index))
    assert [len(found) for found in detector.detect([make_frame(2), make_frame(0)])] == [2, 0]
    assert detector.class_names == {0: "person"}
    assert detector.detect([]) == []


def test_the_fake_embedder_normalises_and_rejects_what_is_no_vector() -> None:
    def vectors(frame: Frame, boxes: FloatArray) -> FloatArray:
        return np.array([[3, 4], [0, 0], [np.nan, 1]], np.float32)[: len(boxes)]

    embedder = FakeEmbedder(vectors, 2)
    three, none = embedder.embed(
        [make_frame(), make_frame()], [np.zeros((3, 4), np.float32), np.zeros((0, 4), np.float32)]
    )
    assert three.embeddings.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0], [0, 0]]
    assert three.valid.tolist() == [True, False, False]
    assert none.embeddings.shape == (0, 2)
    assert embedder.rejected_crops == 2
