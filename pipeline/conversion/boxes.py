"""The rows of a run, camera by camera, as converters need them, and a count of those that are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from pipeline.core.datatypes import LinkedRow
from pipeline.core.errors import InputError
from pipeline.review.described_people import described_people
from pipeline.stored.run import StoredCamera, StoredRun, check_camera_name

_PERSON = "person"
# Boxes are clipped to the picture, and written with two decimals.
_SLACK_PX = 1.0
# Rows of a live camera, which uses frames as it has time: a track that is absent for longer has a gap.
_STEPS_OF_A_GAP = 2


@dataclass(frozen=True, eq=False)
class CameraRows:
    """The rows of one camera.

    Attributes:
        stored: what is known about the camera.
        rows: by frame, then by track; a track has at most one row in a frame.
        first_number: number of its first track, from 1; tracks of all cameras are numbered through.
    """

    camera_id: str
    stored: StoredCamera
    rows: Sequence[LinkedRow]
    first_number: int

    @cached_property
    def knows_frames(self) -> bool:
        """Whether all frames that were tracked are known, not only those with rows."""
        known = self.stored.frame_indices
        return known is not None and all(index in known for index in self.frames)

    @cached_property
    def frame_indices(self) -> Sequence[int]:
        """All frames that were tracked; if they are unknown, those with rows."""
        known = self.stored.frame_indices
        return known if known is not None and self.knows_frames else sorted(self.frames)

    @cached_property
    def frames(self) -> dict[int, list[LinkedRow]]:
        """Rows by frame index, of frames with rows."""
        found: dict[int, list[LinkedRow]] = {}
        for linked in self.rows:
            found.setdefault(linked.row.frame_index, []).append(linked)
        return found

    @cached_property
    def tracks(self) -> dict[int, list[LinkedRow]]:
        """Rows by track id, in order of frames; tracks in order of their ids."""
        found: dict[int, list[LinkedRow]] = {}
        for linked in self.rows:
            found.setdefault(linked.row.track_id, []).append(linked)
        return dict(sorted(found.items()))

    @cached_property
    def track_numbers(self) -> dict[int, int]:
        """Track id -> number of the track over all cameras, from 1."""
        return {track_id: self.first_number + place for place, track_id in enumerate(self.tracks)}

    @cached_property
    def longest_step(self) -> int:
        """The largest difference between two frame indices of a track that is no gap."""
        if self.stored.frame_indices is not None or self.stored.source is not None:
            return self.stored.index_step
        steps: Counter[int] = Counter()
        for rows in self.tracks.values():
            indices = [linked.row.frame_index for linked in rows]
            steps.update(later - earlier for earlier, later in pairwise(indices))
        return _STEPS_OF_A_GAP * steps.most_common(1)[0][0] if steps else 1

    def size_wh(self, needed_by: str) -> tuple[int, int]:
        """Return the size of the picture in pixels; InputError, which names the format, if it is unknown."""
        if self.stored.size_wh is None:
            raise InputError(
                f"the picture size of camera {self.camera_id} is unknown, but {needed_by} needs it: give "
                f"--size {self.camera_id}=WIDTHxHEIGHT"
            )
        return self.stored.size_wh


@dataclass
class Told:
    """What a conversion has left out or assumed.

    Attributes:
        left_out: number of rows that are left out, by what they are.
        notes: sentences.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class RunRows:
    """All cameras of a run, in alphabetical order; those without rows included, if the run has noted them.

    Attributes:
        names: of people, which a review gave, by global id.
    """

    cameras: Sequence[CameraRows]
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def class_names(self) -> list[str]:
        """The classes of the rows: person first, which is 1 in COCO too, then in alphabetical order."""
        names = {linked.row.class_name for camera in self.cameras for linked in camera.rows}
        return sorted(names, key=lambda name: (name != _PERSON, name))

    @property
    def count(self) -> int:
        """Number of rows."""
        return sum(len(camera.rows) for camera in self.cameras)


def usable_rows(run: StoredRun, told: Told, *, observed_only: bool) -> Iterator[LinkedRow]:
    """Yield the rows that any format can hold, in the order of the files.

    Args:
        told: counts the others.
        observed_only: whether to leave out interpolated rows.

    Raises:
        InputError: as for `StoredRun.rows`.
    """
    damaged: list[str] = []
    provisional = rows = 0
    for linked in run.rows(damaged):
        row = linked.row
        x1, y1, x2, y2 = row.xyxy
        if observed_only and row.interpolated:
            told.left_out["interpolated"] += 1
        elif x2 <= x1 or y2 <= y1:
            told.left_out["with a box without area"] += 1
        elif min(linked.link.global_id, row.track_id, row.frame_index) < 0:
            told.left_out["with a negative id, track or frame"] += 1
        else:
            rows += 1
            provisional += not linked.link.final
            yield linked
    told.notes += [f"lines that cannot be read are left out, in {text}" for text in damaged]
    if not run.ended:
        told.notes.append(f"{run.folder}: the run has not noted its end: rows may be missing, and ids may change")
    if provisional:
        told.notes.append(f"{provisional} of {rows} rows have a provisional id, which was decided during the run")


def collected(
    run: StoredRun, told: Told, *, observed_only: bool, sizes_wh: Mapping[str, tuple[int, int]]
) -> RunRows:
    """Return all usable rows that have a class, of all cameras.

    Args:
        told: counts the others, and receives sentences about what is unknown.
        observed_only: whether to leave out interpolated rows.
        sizes_wh: picture sizes by camera, instead of those that the run has noted.

    Raises:
        InputError: as for `StoredRun.rows`; or `sizes_wh` names a camera that is not in the run.
    """
    of_camera: dict[str, dict[tuple[int, int], LinkedRow]] = {name: {} for name in run.cameras}
    for name in of_camera:
        check_camera_name(run.folder, name)
    for linked in usable_rows(run, told, observed_only=observed_only):
        row = linked.row
        rows = of_camera.setdefault(row.camera_id, {})
        key = (row.frame_index, row.track_id)
        if not row.class_name.strip():
            told.left_out["without a class"] += 1
        elif key in rows:
            told.left_out["whose track has a row in this frame already"] += 1
        else:
            rows[key] = linked
    if unknown := sorted(set(sizes_wh) - set(of_camera)):
        raise InputError(
            f"--size {unknown[0]}: {run.folder} has no such camera; its cameras are {', '.join(sorted(of_camera))}"
        )
    cameras = []
    number = 1
    for name, by_key in sorted(of_camera.items()):
        stored = run.camera(name)
        if name in sizes_wh:
            stored = replace(stored, size_wh=sizes_wh[name])
        camera = CameraRows(name, stored, [by_key[key] for key in sorted(by_key)], number)
        number += len(camera.tracks)
        cameras.append(camera)
        told.notes += _unsure(camera)
    return RunRows(cameras, names_in(run, told))


def names_in(run: StoredRun, told: Told) -> Mapping[int, str]:
    """Return the names of people that a review gave, by global id; if they cannot be read, `told` says so."""
    try:
        return described_people(run.folder).names
    except InputError as error:
        told.notes.append(f"{error}: names of people are missing")
        return {}


def _unsure(camera: CameraRows) -> Iterable[str]:
    stored = camera.stored
    if stored.crop_xyxy_px is not None:
        left, top, right, bottom = stored.crop_xyxy_px
        yield (
            f"camera {camera.camera_id} was tracked in the part {left}, {top} to {right}, {bottom} of its picture: "
            "boxes are in pixels of this part"
        )
    if stored.size_wh is not None:
        width, height = stored.size_wh
        outside = sum(
            linked.row.xyxy[2] > width + _SLACK_PX or linked.row.xyxy[3] > height + _SLACK_PX
            for linked in camera.rows
        )
        if outside:
            yield f"camera {camera.camera_id}: {outside} boxes reach beyond its picture of {width}x{height} px"


def file_of_frame(frame_index: int) -> str:
    """Return the name of the picture of a frame, as CVAT and the command in docs/convert.md number them, from 0."""
    return f"frame_{frame_index:06d}"


def xywh(linked: LinkedRow) -> list[float]:
    """Return left, top, width, height in pixels, without the noise of floating point numbers."""
    x1, y1, x2, y2 = linked.row.xyxy
    return [x1, y1, round(x2 - x1, 6), round(y2 - y1, 6)]


def attributes(
    linked: LinkedRow, track_number: int, names: Mapping[int, str]
) -> dict[str, int | float | str | bool]:
    """Return what is known about a box besides its coordinates, under the names that annotation tools use; `name` only
    for people who have one.

    Args:
        names: by global id.

    `track_id`, `keyframe`, `outside` and `occluded` make a track of the boxes in CVAT.
    """
    row, link = linked
    found: dict[str, int | float | str | bool] = {
        "track_id": track_number,
        "keyframe": True,
        "outside": False,
        "occluded": False,
        "global_id": link.global_id,
        "camera_track_id": row.track_id,
        "time_s": row.time_s,
        "confidence": row.confidence,
        "link_confidence": link.confidence,
        "link_state": "final" if link.final else "provisional",
        "interpolated": row.interpolated,
    }
    if link.global_id in names:
        found["name"] = names[link.global_id]
    if row.world_xy_m is not None:
        found["world_x_m"], found["world_y_m"] = row.world_xy_m
    return found
