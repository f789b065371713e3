from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from detectors.pseudo_labels import PADDING_GREY, PseudoLabelSettings, add_pseudo_labelled, grey_doubtful
from pipeline.commands.detectors.app import app
from pipeline.core.errors import InputError
from pipeline.sources.images import read_image
from tests.helpers.media import write_video
from tests.helpers.tiny_yolo import write_tiny_yolo

WHITE = np.full((40, 60, 3), 255, np.uint8)
NONE = np.zeros((0, 4))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_yolo(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of coarse noise."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    file = tmp_path_factory.mktemp("clip") / "yard.mp4"
    write_video(file, [np.kron(frame, np.ones((8, 8, 1), np.uint8)) for frame in blocks])
    return file


def greys(image: np.ndarray) -> int:
    return int((image == PADDING_GREY).all(axis=2).sum())


class TestGreyDoubtful:
    @pytest.mark.parametrize(
        ("confident", "doubtful", "painted", "pixels"),
        [
            ([], [], 0, 0),
            ([], [[10, 5, 20, 15]], 1, 100),
            ([], [[9.5, 5, 20, 15]], 1, 110),
            ([], [[-5, 30, 10, 50]], 1, 100),
            ([[10, 5, 20, 15]], [[15, 5, 25, 15]], 1, 50),
            ([[10, 5, 20, 15]], [[11, 5, 20, 9]], 0, 0),
            ([[10, 5, 20, 15]], [], 0, 0),
        ],
        ids=[
            "nothing",
            "alone",
            "parts of pixels",
            "over the border",
            "half hidden",
            "part of a person",
            "person",
        ],
    )
    def test_what_turns_grey(
        self, confident: list[list[float]], doubtful: list[list[float]], painted: int, pixels: int
    ) -> None:
        image, count = grey_doubtful(
            WHITE, np.array(confident).reshape(-1, 4), np.array(doubtful, np.float64).reshape(-1, 4)
        )
        assert (count, greys(image)) == (painted, pixels)

    def test_the_picture_that_is_given_stays(self) -> None:
        grey_doubtful(WHITE, NONE, np.array([[10.0, 5, 20, 15]]))
        assert greys(WHITE) == 0


class TestAddPseudoLabelled:
    def settings(self, **changes: float) -> PseudoLabelSettings:
        values = {"image_size_px": 64, "augment": False, "every": 2, "device": "cpu", "doubtful": 0.3, **changes}
        return PseudoLabelSettings(**values)  # type: ignore[arg-type]

    def test_confident_boxes_are_labels_and_doubtful_ones_grey(
        self, tiny: Path, clip: Path, tmp_path: Path
    ) -> None:
        added = add_pseudo_labelled(str(clip), tmp_path, weights=str(tiny), settings=self.settings(confident=0.75))
        assert added.images == 3
        assert added.boxes > 3
        assert added.greyed > 3
        labels = sorted((tmp_path / "labels" / "train").iterdir())
        assert [file.stem for file in labels] == ["yard_000001", "yard_000003", "yard_000005"]
        assert sum(len(file.read_text().splitlines()) for file in labels) == added.boxes
        picture = read_image(tmp_path / "images" / "train" / "yard_000001.jpg")
        assert picture is not None
        near_grey = (np.abs(picture.astype(int) - PADDING_GREY) <= 3).all(axis=2)  # JPEG moves values a little
        assert near_grey.sum() > 20

    def test_more_is_a_label_when_less_confidence_is_asked(self, tiny: Path, clip: Path, tmp_path: Path) -> None:
        strict = add_pseudo_labelled(
            str(clip), tmp_path / "a", weights=str(tiny), settings=self.settings(confident=0.75)
        )
        easy = add_pseudo_labelled(
            str(clip), tmp_path / "b", weights=str(tiny), settings=self.settings(confident=0.3)
        )
        assert easy.boxes > strict.boxes
        assert easy.greyed == 0, "nothing is doubtful"

    def test_frames_without_anybody_for_sure_are_left_out(self, tiny: Path, clip: Path, tmp_path: Path) -> None:
        added = add_pseudo_labelled(str(clip), tmp_path, weights=str(tiny), settings=self.settings(confident=1.0))
        assert (added.images, added.left_out) == (0, 3)
        assert not list((tmp_path / "images" / "train").iterdir())

    def test_augmentation_looks_at_other_scales_too(self, tiny: Path, clip: Path, tmp_path: Path) -> None:
        counts = [
            add_pseudo_labelled(
                str(clip),
                tmp_path / str(augment),
                weights=str(tiny),
                settings=self.settings(confident=0.3, augment=augment, every=5),
            ).boxes
            for augment in (False, True)
        ]
        assert counts[0] != counts[1]

    def test_twice_is_refused(self, tiny: Path, clip: Path, tmp_path: Path) -> None:
        settings = self.settings(confident=0.3, every=5)
        add_pseudo_labelled(str(clip), tmp_path, weights=str(tiny), settings=settings)
        with pytest.raises(InputError, match="holds frames of yard already"):
            add_pseudo_labelled(str(clip), tmp_path, weights=str(tiny), settings=settings)

    def test_an_unknown_class(self, tiny: Path, clip: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="does not know dog; its classes are: person, car, truck"):
            add_pseudo_labelled(
                str(clip), tmp_path, weights=str(tiny), settings=PseudoLabelSettings(class_name="dog")
            )

    def test_exports_are_refused(self, clip: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot detect at several scales"):
            add_pseudo_labelled(str(clip), tmp_path, weights="yolo.onnx")

    @pytest.mark.parametrize("changes", [{"every": 0}, {"doubtful": 0.0}, {"doubtful": 0.6}, {"confident": 1.1}])
    def test_values_out_of_range(self, changes: dict[str, float]) -> None:
        with pytest.raises(InputError, match=str(next(iter(changes)))):
            PseudoLabelSettings(**changes)  # type: ignore[arg-type]


def test_the_command(tiny: Path, clip: Path, tmp_path: Path) -> None:
    arguments = ["pseudo-label", str(clip), "--weights", str(tiny), "--output", str(tmp_path), "--no-augment"]
    arguments += [
        "--image-size",
        "64",
        "--every",
        "5",
        "--confident",
        "0.3",
        "--doubtful",
        "0.3",
        "--device",
        "cpu",
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == str(tmp_path / "data.yaml")
    assert (tmp_path / "labels" / "train" / "yard_000001.txt").read_text().startswith("0 ")
