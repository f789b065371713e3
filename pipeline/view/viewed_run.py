"""A finished run as the page needs it: people, boxes, decisions, recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.config.config import CameraConfig, load_config
from pipeline.core.datatypes import IntArray
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError, RunError
from pipeline.drawing.visualization import draw_tracks
from pipeline.recorded.decision_sentences import facts, sentence
from pipeline.recorded.missing_tracklets import tracks_in
from pipeline.recorded.people import Person, Stay, TrackSpan, people_of
from pipeline.report.best_boxes import ChosenBox
from pipeline.report.pictures import picture_of
from pipeline.report.run_data import NotedCamera, RunData, read_run
from pipeline.review.track_history import ReviewHistory, review_history
from pipeline.sources.cropped import CroppedSource
from pipeline.sources.open import open_source
from pipeline.sources.recording_dates import start_utc_of
from pipeline.view.drawn_boxes import DrawnBoxes
from pipeline.view.found_runs import FoundRun
from pipeline.view.lanes import Lanes
from pipeline.view.recording import Opened, Recording, Shown

#: Settings of a camera that decide how its frames look and when they are.
_OF_RECORDINGS = ("frame_rate", "display_size_wh", "crop_xyxy_px", "start_s", "start_utc", "clock_rate")
_JPEG_QUALITY = 82
_LIVE_HAS_NO_RECORDING = "this is a live run, whose streams are not recorded"


class ViewedRun:
    """Reads a run completely; long runs take minutes.

    Args:
        recordings: camera -> where its recording is now, if not where run.json says.
        rows: where its rows are, if not in its trajectories.csv.

    Attributes:
        ids_now: returns the ids to draw for (camera, time_s, global ids of the rows), -1 for boxes to leave out; None
            draws those of the rows.

    Raises:
        InputError: the rows are damaged or of another version.
    """

    def __init__(
        self, found: FoundRun, recordings: Mapping[str, str], boxes: DrawnBoxes, rows: Path | None = None
    ) -> None:
        self.found = found
        self._boxes = boxes
        self.data = _read_live(found, boxes) if found.is_live else read_run(found.stored.folder, boxes.watch, rows)
        boxes.finish()
        # A page that corrects the run shows it as it was.
        self._history = ReviewHistory() if rows is not None else review_history(found.stored.folder)
        self.cameras = list(self.data.cameras)
        self.lanes = Lanes(self.data.people, self.cameras)
        self.ids_now: Callable[[str, float, IntArray], IntArray] | None = None
        self._moved = recordings
        self._persons = {person.global_id: person for person in self.data.people}
        self._recordings = {name: Recording(self._opener(name)) for name in self.cameras}

    def summary(self) -> dict[str, Any]:
        """Return what the page needs before it shows anything, as JSON data."""
        data = self.data
        return {
            **self.found.as_json(),
            "reading": False,
            "epoch_s": None if data.epoch_utc is None else data.epoch_utc.timestamp(),
            "start_s": data.start_s,
            "end_s": data.end_s,
            "cameras": self.cameras,
            "people": len(data.persons),
            "fragments": len(data.fragments),
            "rows": data.rows,
            "gaps": list(data.gaps),
            "no_recording": {name: problem for name in self.cameras if (problem := self.missing(name))},
            "density": self.lanes.density(400, data.start_s, data.end_s),
        }

    def visit(self, camera_id: str, track_id: int) -> dict[str, Any] | None:
        """Return the details of a stay, with its person; None if there is no such track."""
        track = self.data.tracks.get((camera_id, track_id))
        person = None if track is None else self._persons.get(track.link.global_id)
        stay = None if person is None else _stay_with(person, (camera_id, track_id))
        if person is None or stay is None:
            return None
        return {
            "global_id": person.global_id,
            "name": person.name,
            "class_name": person.class_name,
            "fragment": person.is_fragment,
            "camera_id": camera_id,
            "start_s": stay.start_s,
            "end_s": stay.end_s,
            "boxes": stay.boxes,
            "confidence": round(stay.confidence, 3),
            "final": stay.final,
            "tracks": [
                {
                    "track_id": one.track_id,
                    "start_s": one.start_s,
                    "end_s": one.end_s,
                    "confidence": round(one.link.confidence, 3),
                    "why": self._why(one.key),
                }
                for one in stay.tracks
            ],
            "decisions_known": self.data.decisions is not None,
            "stays": [[one.camera_id, one.start_s, one.end_s, one.tracks[0].track_id] for one in person.stays],
        }

    def _why(self, key: TrackKey) -> list[str]:
        """Return what was decided about a track, and what a review changed."""
        history = self._history.tracks.get(key)
        decided = (self.data.decisions or {}).get(key if history is None else history.origin, ())
        changes = () if history is None else history.changes
        return [
            *(f"{sentence(each)} {facts(each)}" for each in decided),
            *(f"Review, {change.sentence}" for change in changes),
        ]

    def pictures(self, camera_id: str, track_id: int) -> dict[str, Any]:
        """Return pictures of the person of a track, the best of each camera, and why some are missing."""
        track = self.data.tracks.get((camera_id, track_id))
        person = None if track is None else self._persons.get(track.link.global_id)
        if person is None:
            return {"pictures": [], "problems": []}
        best: dict[str, ChosenBox] = {}
        for one in person.tracks:
            boxes = self.data.boxes.get(one.key, ())
            if boxes and (one.camera_id not in best or boxes[0].quality > best[one.camera_id].quality):
                best[one.camera_id] = boxes[0]
        if own := self.data.boxes.get((camera_id, track_id)):
            best[camera_id] = own[0]
        unknown = [
            f"{name}: {self.missing(name) or 'the size of its images is unknown'}"
            for name in person.camera_ids
            if name not in best
        ]
        found = self.cut_out([best[name] for name in person.camera_ids if name in best])
        return {**found, "problems": [*unknown, *found["problems"]]}

    def cut_out(self, boxes: Sequence[ChosenBox]) -> dict[str, Any]:
        """Return the pictures in these boxes, and why some are missing."""
        pictures, problems = [], []
        for box in boxes:
            name = box.camera_id
            try:
                image = self._frame(name, box.time_s).frame.image
            except (InputError, RunError) as error:
                problems.append(f"{name}: {error}")
                continue
            picture = None if image is None else picture_of(image, box)
            if picture is None:
                problems.append(f"{name}: the box is outside the picture")
            else:
                pictures.append(
                    {"camera_id": name, "time_s": box.time_s, "uri": picture.uri, "size": picture.size_wh}
                )
        return {"pictures": pictures, "problems": problems}

    def jpeg(self, camera_id: str, time_s: float, width_px: int, *, boxes: bool) -> tuple[bytes, Shown]:
        """Return the picture of a camera at a time, reduced to a width, with the boxes and ids of the tracked frame.

        Raises:
            InputError, RunError: there is no picture; the message says why.
        """
        shown = self._frame(camera_id, time_s)
        image = shown.frame.image
        assert image is not None
        scale = min(1.0, width_px / image.shape[1])
        if scale < 1:
            size_wh = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
            image = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        if boxes:
            # A run with `recording.stride` tracked every n-th frame: the others show the boxes of the nearest one.
            tracked = self.found.stored.camera(camera_id).frame_rate
            period_s = max(shown.period_s, 1 / tracked) if tracked else shown.period_s
            found = self._boxes.at(camera_id, shown.frame.time_s, period_s / 2 + 0.001)
            ids = found.global_ids
            if self.ids_now is not None:
                ids = self.ids_now(camera_id, shown.frame.time_s, ids)
            drawn = ids >= 0
            image = draw_tracks(
                image,
                found.xyxy[drawn] * np.float32(scale),
                ids[drawn],
                interpolated=found.interpolated[drawn],
            )
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return data.tobytes(), shown

    def close(self) -> None:
        """Close the recordings."""
        for recording in self._recordings.values():
            recording.close()

    def _frame(self, camera_id: str, time_s: float) -> Shown:
        recording = self._recordings.get(camera_id)
        if recording is None:
            raise InputError(f"the run has no camera {camera_id!r}")
        if problem := self.missing(camera_id):
            raise InputError(problem)
        return recording.at(time_s)

    def missing(self, camera_id: str) -> str | None:
        """Return why a camera has no recording, as far as that can be said without opening it."""
        if self.found.is_live:
            return _LIVE_HAS_NO_RECORDING
        place = self._place(camera_id)
        if place is None:
            return "run.json does not say where its recording is"
        advice = f"`--recording {camera_id}=PATH` says where the recording is"
        if Path(place).suffix.lower() == ".parquet":
            return f"the run read saved detections. {advice}"
        if not any(sign in place for sign in "*?[") and not Path(place).exists():
            return f"{place} does not exist" + ("" if camera_id in self._moved else f". {advice} now")
        return None

    def _place(self, camera_id: str) -> str | None:
        noted = self.data.cameras[camera_id].settings.get("source")
        place = self._moved.get(camera_id) or noted or self.found.stored.camera(camera_id).source
        return place if isinstance(place, str) else None

    def _opener(self, camera_id: str) -> Any:
        return lambda: self._open(camera_id)

    def _open(self, camera_id: str) -> Opened:
        noted = self.data.cameras[camera_id]
        place = self._place(camera_id)
        settings = {name: noted.settings[name] for name in _OF_RECORDINGS if noted.settings.get(name) is not None}
        config = load_config(None, {"cameras": [{"name": camera_id, "source": place, **settings}]})
        (camera,) = config.cameras
        start_s = self._start_s(camera)
        source = open_source(
            camera_id,
            camera.source,
            start_s=start_s,
            clock_rate=camera.clock_rate,
            frame_rate=camera.frame_rate,
            display_size_wh=camera.display_size,
            max_picture_px=config.runtime.max_picture_px,
        )
        if camera.crop_xyxy_px is not None:
            source = CroppedSource(source, camera.crop_xyxy_px)
        if noted.size_wh is not None and source.size_wh != noted.size_wh:
            source.close()
            width, height = source.size_wh
            of_run = "x".join(map(str, noted.size_wh))
            raise InputError(f"{place} has images of {width}x{height} px, but those of the run had {of_run} px")
        return Opened(source, start_s, camera.clock_rate)

    def _start_s(self, camera: CameraConfig) -> float:
        """Return when a recording begins on the clock of the run."""
        start = start_utc_of(
            camera.name,
            camera.source,
            camera.start_utc,
            clock_rate=camera.clock_rate,
            frame_rate=camera.frame_rate,
        )
        epoch = self.data.epoch_utc
        return camera.start_s if start is None or epoch is None else (start - epoch).total_seconds()


def _stay_with(person: Person, key: TrackKey) -> Stay | None:
    return next((stay for stay in person.stays if any(track.key == key for track in stay.tracks)), None)


def _read_live(found: FoundRun, boxes: DrawnBoxes) -> RunData:
    """Read a run of `mtmc live`. It keeps no number of good crops and no decisions, so nobody counts as a fragment."""
    stored = found.stored
    damaged: list[str] = []
    tracks = tracks_in(boxes.watch(stored.rows(damaged)))
    names = [*stored.cameras, *sorted({camera_id for camera_id, _ in tracks} - set(stored.cameras))]
    gaps = [f"lines cannot be read and are left out: {text}" for text in damaged]
    if not stored.ended:
        gaps.append("The run has not ended, or was killed: ids may still change, and newer rows are not shown")
    gaps.append("Live runs do not note which tracks are fragments, so all count as people")
    return RunData(
        folder=stored.folder,
        state=found.as_json()["state"],
        started_utc=found.as_json()["started_utc"] or "",
        epoch_utc=stored.epoch_utc,
        cameras={name: NotedCamera({}, stored.camera(name).size_wh, 0, 0, None) for name in names},
        people=people_of(
            TrackSpan(*key, one.class_name, one.start_s, one.end_s, one.observations, None, one.link)
            for key, one in tracks.items()
        ),
        rows=boxes.rows,
        interpolated=0,
        tracks=tracks,
        boxes={},
        decisions=None,
        gaps=gaps,
    )
