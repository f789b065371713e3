"""Live tracking without threads or a clock of its own: detections of a batch in, rows and corrections out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.association.associator import Associated, DetectedFrame
from pipeline.association.build import build_associator
from pipeline.config.config import CameraConfig, Config
from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.core.models import Embedder
from pipeline.core.stage_clock import StageClock
from pipeline.counting.positions import PictureScale
from pipeline.cross_camera.gallery import Gallery
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.cross_camera.settings import TransitWindow
from pipeline.floor.camera_geometry import CameraGeometry, geometry_of
from pipeline.live.picture_scales import PictureScales


@dataclass(frozen=True)
class Identities:
    """Numbers of identities.

    Attributes:
        in_view: in view of a camera now.
        total: since the start.
        known: held in memory, so that they can be recognised again.
        by_class: `total` by the name of the class.
        most: largest number in memory, besides those in view.
        unseen, surplus: forgotten so far because no camera saw them for too long, or because there were too many.
    """

    in_view: int = 0
    total: int = 0
    known: int = 0
    by_class: Mapping[str, int] = field(default_factory=dict)
    most: int = 0
    unseen: int = 0
    surplus: int = 0


@dataclass(frozen=True)
class Output:
    """Rows and corrections to write, rows first, and the numbers of identities after them.

    Attributes:
        complete_before_s: frames before this time have all their rows by now.
    """

    rows: list[LinkedRow]
    corrections: list[Correction]
    identities: Identities
    complete_before_s: float = float("-inf")


class TrackingCore:
    """The trackers of all cameras and the linker between them; used by one thread at a time.

    Args:
        config: settings of cameras, waiting times, tracker and linker.
        limits: match limits of the embedder.
        embedder: None to track without embeddings.
        class_names: class names of the detector.
        gallery: identities of an earlier run, which are recognised again.
        stages: measures the stages embed, track and link.
    """

    def __init__(
        self,
        config: Config,
        limits: MatchLimits,
        *,
        embedder: Embedder | None,
        class_names: dict[int, str],
        gallery: Gallery | None,
        stages: StageClock,
    ) -> None:
        self._corrections: list[Correction] = []
        self._associator = build_associator(
            config,
            limits,
            geometries={camera.name: CameraGeometry(None, None) for camera in config.cameras},
            embedder=embedder,
            class_names=class_names,
            clock=stages,
            on_correction=self._corrections.append,
        )
        self._linker = self._associator.linker
        self._class_names = class_names
        if gallery is not None:
            self._linker.restore(gallery)
        self._cameras: dict[str, CameraConfig] = {}
        self._size_wh: dict[str, tuple[int, int]] = {}
        self._first_size_wh: dict[str, tuple[int, int]] = {}
        self._scales = PictureScales(config.zones, config.lines)
        self.set_cameras(config.cameras, config.linker.transit_windows)

    def set_cameras(self, cameras: Sequence[CameraConfig], windows: Sequence[TransitWindow]) -> None:
        """Replace the cameras and their settings; end the tracks of changed and removed cameras."""
        self._linker.set_cameras([camera.name for camera in cameras], windows)
        before, self._cameras = self._cameras, {camera.name: camera for camera in cameras}
        for camera in cameras:
            if before.get(camera.name) != camera:
                self._size_wh.pop(camera.name, None)
                self._first_size_wh.pop(camera.name, None)
                self._associator.set_camera(camera.name, CameraGeometry(None, None))
        for name in before.keys() - self._cameras.keys():
            self._associator.end_tracks(name)

    @property
    def people(self) -> dict[str, int]:
        """Number of people in view of each camera."""
        return dict(self._associator.people)

    @property
    def rows_held(self) -> int:
        """Number of rows that wait for their ids."""
        return self._associator.rows_held

    @property
    def scale_of(self) -> PictureScale:
        """Scale of the picture of a row relative to the one in which zones are drawn."""
        return self._scales.of

    def gallery(self) -> Gallery:
        """Return a copy of the stored identities."""
        return self._linker.gallery()

    def process(self, batch: Sequence[DetectedFrame]) -> Output:
        """Process the detections of at most one frame of each camera, in order of time."""
        present = [(frame, detections) for frame, detections in batch if frame.camera_id in self._cameras]
        for frame, _ in present:
            if self._size_wh.get(frame.camera_id) != frame.size_wh:
                self._new_size(frame.camera_id, frame.size_wh, frame.frame_index)
        return self._output(self._associator.process(present))

    def idle(self, now_s: float) -> Output:
        """Advance the time to `now_s` (Unix seconds on the run's clock) while no frame arrives."""
        return self._output(self._associator.advance(now_s))

    def finish(self) -> Output:
        """End all tracks and return everything that waited."""
        return self._output(self._associator.finish())

    def _new_size(self, camera_id: str, size_wh: tuple[int, int], frame_index: int) -> None:
        """End the tracks of a camera whose picture size changed: its old and new boxes cannot be compared. People are
        recognised again by appearance."""
        first_size_wh = self._first_size_wh.setdefault(camera_id, size_wh)
        geometry = geometry_of(self._cameras[camera_id], size_wh, first_size_wh)
        self._associator.set_camera(camera_id, geometry)
        self._size_wh[camera_id] = size_wh
        self._scales.took(self._cameras[camera_id], first_size_wh, size_wh, frame_index)

    def _output(self, associated: Associated) -> Output:
        corrections = self._corrections.copy()
        self._corrections.clear()
        return Output(associated.rows, corrections, self._identities(), associated.complete_before_s)

    def _identities(self) -> Identities:
        by_class: Counter[str] = Counter()
        for class_id, count in self._linker.people_by_class.items():
            by_class[self._class_names[class_id]] += count
        linker = self._linker
        return Identities(
            in_view=linker.in_view,
            total=linker.people,
            known=linker.known_identities,
            by_class=dict(by_class),
            most=linker.max_identities,
            unseen=linker.forgotten.unseen,
            surplus=linker.forgotten.surplus,
        )
