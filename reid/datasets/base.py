"""The types of a re-identification data set: crops of persons or vehicles, each with an identity and a camera."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Crop:
    """One picture of one person or vehicle.

    Attributes:
        path: the image file.
        person_id: as in the data set; at least 0.
        camera: name of the camera, unique within the data set.
        view: name of the visible side, such as "v3"; None if the data set does not say.
    """

    path: Path
    person_id: int
    camera: str
    view: str | None = None


@dataclass(frozen=True)
class CropSet:
    """Crops sorted by path, so that the order does not depend on the file system."""

    crops: tuple[Crop, ...]

    @classmethod
    def of(cls, crops: Iterable[Crop]) -> CropSet:
        """Return the set of `crops`, sorted by path."""
        return cls(tuple(sorted(crops, key=lambda crop: crop.path)))

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def person_ids(self) -> tuple[int, ...]:
        """The distinct identities, ascending; the position in this tuple is the class index in training."""
        return tuple(sorted({crop.person_id for crop in self.crops}))

    @property
    def cameras(self) -> tuple[str, ...]:
        """The distinct camera names in natural order (c2 before c10)."""
        return tuple(sorted({crop.camera for crop in self.crops}, key=natural_order))

    @property
    def views(self) -> tuple[str, ...]:
        """The distinct view names in natural order; crops without a view add none."""
        return tuple(sorted({crop.view for crop in self.crops if crop.view is not None}, key=natural_order))

    def of_persons(self, person_ids: Iterable[int]) -> CropSet:
        """Return only the crops of `person_ids`."""
        wanted = set(person_ids)
        return CropSet(tuple(crop for crop in self.crops if crop.person_id in wanted))

    def of_cameras(self, cameras: Iterable[str]) -> CropSet:
        """Return only the crops of `cameras`."""
        wanted = set(cameras)
        return CropSet(tuple(crop for crop in self.crops if crop.camera in wanted))

    def without(self, paths: Iterable[Path]) -> CropSet:
        """Return the crops whose image files are not among `paths`; this same object if all are kept."""
        left_out = set(paths)
        kept = tuple(crop for crop in self.crops if crop.path not in left_out)
        return self if len(kept) == len(self.crops) else CropSet(kept)


@dataclass(frozen=True)
class ReidDataset:
    """The parts of a data set. In a plain folder train, query and gallery are the same crops.

    Attributes:
        train: crops to learn from.
        query: crops that are searched for.
        gallery: crops among which they are searched; a query is never matched with its own camera.
        draws: (query, gallery) of each repetition, if the protocol is the mean over random galleries; `query` and
            `gallery` are then the first draw. Empty if the gallery is fixed.
        notes: what a user should know about these files, one sentence each.
        root: the folder that was read.
    """

    train: CropSet
    query: CropSet
    gallery: CropSet
    draws: tuple[tuple[CropSet, CropSet], ...] = ()
    notes: tuple[str, ...] = ()
    root: Path = Path()

    @property
    def people(self) -> CropSet:
        """The gallery without distractors: crops of the people who are among the queries."""
        return self.gallery.of_persons(self.query.person_ids)


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which c2 comes before c10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def hold_out_identities(crops: CropSet, count: int) -> tuple[CropSet, CropSet]:
    """Split into (rest, held out) by identity; the `count` ids held out are evenly spaced in ascending order.

    If ids are numbered recording by recording, even spacing holds out a share of every recording. The split depends
    only on the ids.

    Raises:
        ValueError: `count` is negative, or no identity would be left.
    """
    ids = crops.person_ids
    if not 0 <= count < len(ids):
        raise ValueError(f"cannot hold out {count} of {len(ids)} identities")
    held_out = {ids[(2 * i + 1) * len(ids) // (2 * count)] for i in range(count)}
    return crops.of_persons(set(ids) - held_out), crops.of_persons(held_out)


def camera_indices(crops: CropSet, cameras: Sequence[str]) -> list[int]:
    """Return the position of each crop's camera in `cameras`, -1 for a camera that is not among them."""
    position = {name: i for i, name in enumerate(cameras)}
    return [position.get(crop.camera, -1) for crop in crops.crops]


def view_indices(crops: CropSet, views: Sequence[str]) -> list[int]:
    """Return the position of each crop's view in `views`, -1 for no view and for one that is not among them."""
    position = {name: i for i, name in enumerate(views)}
    return [-1 if crop.view is None else position.get(crop.view, -1) for crop in crops.crops]


def identities_digest(person_ids: Sequence[int]) -> str:
    """Return 16 hex digits that are equal only for the same identities in the same order."""
    return hashlib.sha256(",".join(map(str, person_ids)).encode()).hexdigest()[:16]
