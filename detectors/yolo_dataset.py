"""Write and read a data set of one class in Ultralytics' YOLO layout, picture by picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline.core.errors import InputError, RunError
from pipeline.core.yaml_file import read_yaml
from pipeline.sources.images import image_files, read_image

DATA_FILE = "data.yaml"
SPLITS = ("train", "val")
JPEG_QUALITY = 95

SplitName = Literal["train", "val"]


@dataclass(frozen=True)
class Split:
    """Size of a part of a data set.

    Attributes:
        images: number of pictures.
        boxes: number of labelled objects in them.
    """

    images: int
    boxes: int


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """One picture of a data set.

    Attributes:
        sequence: its source, which is its file name up to the last underscore.
        image: (H, W, 3) uint8 BGR.
        xyxy: (N, 4) float64, the true boxes in pixels.
    """

    sequence: str
    image: NDArray[np.uint8]
    xyxy: NDArray[np.float64]


class YoloDataset:
    """Writes images/{train,val}, labels/{train,val} and data.yaml; adds to an existing data set.

    Files are named SEQUENCE_NUMBER, so that the source of every picture is known.

    Args:
        output: folder of the data set, created if necessary.
        class_name: name of the only class.

    Raises:
        InputError: the folder holds a data set with other classes or with its pictures in other folders.
    """

    def __init__(self, output: Path, *, class_name: str = "person") -> None:
        self.output = output
        # Without `path`, Ultralytics uses the folder of data.yaml, so the data set can be moved.
        content = {**{split: f"images/{split}" for split in SPLITS}, "names": {0: class_name}}
        data = output / DATA_FILE
        if data.exists():
            _refuse_others(data, content)
        self._counts = {split: [0, 0] for split in SPLITS}
        for split in SPLITS:
            for kind in ("images", "labels"):
                (output / kind / split).mkdir(parents=True, exist_ok=True)
        if not data.exists():
            data.write_text(yaml.safe_dump(content, sort_keys=False))

    @property
    def added(self) -> dict[str, Split]:
        """Numbers of pictures and boxes added to each split since this object was created."""
        return {split: Split(images=images, boxes=boxes) for split, (images, boxes) in self._counts.items()}

    def refuse_again(self, sequence: str) -> None:
        """Raise InputError if the data set already holds pictures of `sequence`."""
        if any(_sequence(file) == sequence for file in self.output.glob("images/*/*.jpg")):
            raise InputError(
                f"{self.output} holds frames of {sequence} already: build the data set in an empty folder"
            )

    def add(self, split: SplitName, stem: str, image: NDArray[np.uint8], xyxy: NDArray[np.float64]) -> None:
        """Write one picture and its label file.

        Args:
            split: the part it belongs to.
            stem: file name without suffix.
            image: (H, W, 3) uint8 BGR.
            xyxy: (N, 4) in pixels of the picture; clipped to it, boxes outside are left out.

        Raises:
            RunError: one of the two files cannot be written; then neither is kept.
        """
        size_wh = (image.shape[1], image.shape[0])
        kept = _clipped(xyxy, size_wh)
        picture = self.output / "images" / split / f"{stem}.jpg"
        label = self.output / "labels" / split / f"{stem}.txt"
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        lines = [f"0 {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}\n" for cx, cy, w, h in _relative(kept, size_wh)]
        try:
            # Not cv2.imwrite, which only returns False when the disk is full.
            picture.write_bytes(jpeg.tobytes())
            label.write_text("".join(lines))
        except OSError as error:
            picture.unlink(missing_ok=True)
            label.unlink(missing_ok=True)
            raise RunError(f"{picture} and its label cannot be written: {error.strerror}") from error
        self._counts[split][0] += 1
        self._counts[split][1] += len(kept)


def read_split(data: Path, split: str) -> Iterator[LabelledPicture]:
    """Yield the pictures of one part of a data set with one class, sorted by name.

    A picture without a label file has no objects, as in Ultralytics.

    Args:
        data: data.yaml, with `split` as a folder images/..., relative to `path` or to the file's own folder; the
            labels are in labels/... beside it.
        split: train, val or test.

    Raises:
        InputError: the file, part, folder or a picture is missing, or a picture or label cannot be read.
    """
    for file in image_files(_folder(data, split)):
        image = read_image(file)
        if image is None:
            raise InputError(f"{file} cannot be read as a picture; remove or replace it")
        yield LabelledPicture(
            _sequence(file), image, _read_label(_label_file(file), (image.shape[1], image.shape[0]))
        )


def require_class(data: Path, class_name: str) -> None:
    """Raise InputError unless the data set's only class is `class_name`."""
    names = _class_names(_content(data))
    if names != {0: class_name}:
        raise InputError(
            f"{data} has the classes {', '.join(map(str, names.values())) or 'none'}, but only {class_name} is "
            "expected: give a data set with that class alone, or --class"
        )


def halve_split(data: Path, split: str, output: Path) -> tuple[Path, Path]:
    """Split one part of a data set into two data sets, which link to alternate pictures.

    Args:
        data, split: as in `read_split`.
        output: folder in which they are created.

    Returns:
        data.yaml of both; each has the same pictures as train and as val.

    Raises:
        InputError: as in `read_split`, or there is only one picture.
    """
    files = image_files(_folder(data, split))
    if len(files) < 2:
        raise InputError(f"{data} has only {len(files)} picture as {split!r}, but at least 2 are needed here")
    names = _content(data).get("names", {0: "object"})
    halves = (output / "first", output / "second")
    for start, half in enumerate(halves):
        for kind in ("images", "labels"):
            (half / kind).mkdir(parents=True)
        for file in files[start::2]:
            label = _label_file(file)
            (half / "images" / file.name).symlink_to(file.resolve())
            if label.is_file():
                (half / "labels" / label.name).symlink_to(label.resolve())
        (half / DATA_FILE).write_text(yaml.safe_dump({"train": "images", "val": "images", "names": names}))
    return halves[0] / DATA_FILE, halves[1] / DATA_FILE


def count_pictures(data: Path, split: str) -> int:
    """Return the number of pictures in a part of the data set.

    Raises:
        InputError: as in `read_split`.
    """
    return len(image_files(_folder(data, split)))


def _refuse_others(data: Path, content: Mapping[str, Any]) -> None:
    """Raise InputError unless the existing data.yaml names the same classes and folders."""
    found = _content(data)
    names = _class_names(found)
    if names != content["names"]:
        raise InputError(
            f"{data} has the classes {names}, but {content['names']} are to be added: name that class, or build the "
            "data set in an empty folder"
        )
    root = data.parent / str(found.get("path", "."))
    for split in SPLITS:
        folder = root / str(found.get(split))
        if folder.resolve() != (data.parent / content[split]).resolve():
            raise InputError(
                f"{data} names {folder} as {split!r}, not {content[split]} beside it: build the data set in an empty "
                "folder"
            )


def _class_names(content: Mapping[str, Any]) -> dict[int, str]:
    names = content.get("names") or {}
    return dict(enumerate(names)) if isinstance(names, list) else dict(names)


def _sequence(picture: Path) -> str:
    """Return the source of a picture: its file name up to the last underscore."""
    return picture.stem.rpartition("_")[0] or picture.stem


def _content(data: Path) -> dict[str, Any]:
    """Read a data.yaml."""
    if not data.is_file():
        raise InputError(f"{data} does not exist; build a data set with 'mtmc detectors dataset'")
    return read_yaml(data)


def _folder(data: Path, split: str) -> Path:
    content = _content(data)
    if not isinstance(content.get(split), str):
        raise InputError(f"{data} names no folder of pictures as {split!r}; give a data.yaml that does")
    folder = data.parent / str(content.get("path", ".")) / str(content[split])
    if not folder.is_dir():
        raise InputError(f"{data} names {folder} as {split!r}, but there is no such folder")
    return folder


def _label_file(picture: Path) -> Path:
    """Return the label file of a picture: the last images/... of its path becomes labels/..., as in Ultralytics."""
    parts = list(picture.parts)
    if "images" in parts[:-1]:
        parts[-2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _read_label(file: Path, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Read boxes xyxy (N, 4) in pixels."""
    lines = [line for line in file.read_text().splitlines() if line.strip()] if file.is_file() else []
    relative = np.zeros((len(lines), 4))
    for row, line in enumerate(lines):
        try:
            class_id, x, y, width, height = (float(field) for field in line.split())
            relative[row] = (x, y, width, height)
        except ValueError as error:
            raise InputError(f"{file} has the line {line!r}, not 'class x y width height': correct it") from error
        if class_id != 0:
            raise InputError(f"{file} has the line {line!r}, but the only class of the data set is 0: correct it")
    size = np.array([*size_wh, *size_wh], np.float64)
    middle, half = relative[:, :2], relative[:, 2:] / 2
    xyxy: NDArray[np.float64] = np.concatenate([middle - half, middle + half], axis=1) * size
    return xyxy


def _clipped(xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Clip boxes (N, 4) to the image and drop those that lie outside."""
    clipped = np.clip(xyxy, 0, np.array([*size_wh, *size_wh], np.float64))
    kept: NDArray[np.float64] = clipped[(clipped[:, 2:] - clipped[:, :2] >= 1).all(axis=1)]
    return kept


def _relative(xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Convert boxes xyxy in pixels to the YOLO label format: centre x, centre y, width, height as image shares."""
    size = np.array(size_wh, np.float64)
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2 / size
    return np.concatenate([centre, (xyxy[:, 2:] - xyxy[:, :2]) / size], axis=1)
