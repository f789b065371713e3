"""The figures of a run, as numbers and as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.core.inference_runtime import Computation
from pipeline.counting.count import Counted

PERSON = "person"


def by_class_name(by_class_id: Mapping[int, int], class_names: Mapping[int, str]) -> Counter[str]:
    """Return counts by the name of the class instead of its id; several ids may have one name."""
    counts: Counter[str] = Counter()
    for class_id, count in by_class_id.items():
        counts[class_names[class_id]] += count
    return counts


@dataclass
class CameraCounts:
    """Counts of one camera. `problem` says why its recording could not be read to the end; `late_frames` is the number
    of frames left out because they were not later than the previous one."""

    frames: int = 0
    boxes: int = 0
    tracks: int = 0
    late_frames: int = 0
    problem: str | None = None


@dataclass
class ClassCounts:
    """Counts of one class over all cameras; `global_ids` is the number of its objects that were distinguished."""

    boxes: int = 0
    tracks: int = 0
    global_ids: int = 0


@dataclass
class RunSummary:
    """Figures of a run.

    Attributes:
        cameras: by name.
        classes: by name; those of which a box was used.
        global_ids: number of people (or objects of other classes) distinguished over all cameras, by final ids if there
            are any.
        unembedded_classes: classes of the detector without embeddings: floor positions and time alone link them.
        rows: rows of trajectories.csv.
        wall_s: seconds from the first frame to the last file.
        stage_s: seconds by stage; stages overlap, so their sum can exceed `wall_s`.
        embedded_crops, rejected_crops: number of crops sent to the embedder, and of those it could not use.
        unknown_cameras: cameras without a row in the embedding model's camera table -> what is used instead.
        hashes: of the models.
        computed_by: library, precision and device of the detector and the embedder, if they ran a network.
        counted: people at zones and lines; None without any.
    """

    cameras: dict[str, CameraCounts] = field(default_factory=dict)
    classes: dict[str, ClassCounts] = field(default_factory=dict)
    unembedded_classes: list[str] = field(default_factory=list)
    global_ids: int = 0
    rows: int = 0
    wall_s: float = 0.0
    stage_s: dict[str, float] = field(default_factory=dict)
    embedded_crops: int = 0
    rejected_crops: int = 0
    unknown_cameras: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    computed_by: dict[str, Computation] = field(default_factory=dict)
    counted: Counted | None = None

    @property
    def frames(self) -> int:
        """Frames of all cameras."""
        return sum(counts.frames for counts in self.cameras.values())

    @property
    def detector_share(self) -> float:
        """Share of the wall time that the detector took."""
        return self.stage_s.get("detect", 0.0) / self.wall_s if self.wall_s else 0.0

    @property
    def problems(self) -> list[str]:
        """Why recordings ended early, one line each."""
        return [counts.problem for counts in self.cameras.values() if counts.problem]

    def tables(self) -> Group:
        """Return tables for the terminal."""
        boxes = sum(counts.boxes for counts in self.cameras.values())
        people = Table(title="Cameras")
        for column in ("camera", "frames", "boxes", "tracks"):
            people.add_column(column, justify="left" if column == "camera" else "right")
        for name, counts in self.cameras.items():
            people.add_row(name, str(counts.frames), str(counts.boxes), str(counts.tracks))
        people.add_section()
        tracks = sum(counts.tracks for counts in self.cameras.values())
        people.add_row("all", str(self.frames), str(boxes), str(tracks))
        stages = Table(title="Time")
        for column in ("stage", "seconds", "ms per camera frame"):
            stages.add_column(column, justify="left" if column == "stage" else "right")
        per_frame = 1000 / max(self.frames, 1)
        for stage, seconds in self.stage_s.items():
            stages.add_row(stage, f"{seconds:.1f}", f"{seconds * per_frame:.2f}")
        stages.add_section()
        stages.add_row("wall", f"{self.wall_s:.1f}", f"{self.wall_s * per_frame:.2f}")
        lines = [
            f"{self._counted} over all cameras (global ids): {self.global_ids}",
            f"Crops embedded: {self.embedded_crops} of {boxes} boxes"
            + (f", {self.rejected_crops} rejected (empty or outside the image)" if self.rejected_crops else ""),
            f"Detector: {self.detector_share:.0%} of the wall time, {self.frames / max(self.wall_s, 1e-9):.1f} "
            "camera frames per second in all",
        ]
        late = {name: counts.late_frames for name, counts in self.cameras.items() if counts.late_frames}
        if late:
            told = ", ".join(f"{frames} of {name}" for name, frames in late.items())
            lines.append(f"Frames left out because they were not later than the previous one: {told}")
        if self.unknown_cameras:
            by_stand_in: dict[str, list[str]] = {}
            for camera_id, stand_in in self.unknown_cameras.items():
                by_stand_in.setdefault(stand_in, []).append(camera_id)
            for stand_in, cameras in by_stand_in.items():
                lines.append(f"Cameras unknown to the embedding model, using its {stand_in}: {', '.join(cameras)}")
        unembedded = [name for name in self.unembedded_classes if name in self.classes]
        if unembedded:
            lines.append(f"Linked by floor positions and time alone, without embeddings: {', '.join(unembedded)}")
        counted = [] if self.counted is None else [self.counted.tables()]
        return Group(people, *self._class_tables(), stages, *lines, *counted)

    @property
    def _counted(self) -> str:
        return "Objects" if self.classes.keys() - {PERSON} else "People"

    def _class_tables(self) -> list[Table]:
        """Return the table of the classes; none if there are only people."""
        if self._counted == "People":
            return []
        table = Table(title="Classes")
        for column in ("class", "boxes", "tracks", "global ids"):
            table.add_column(column, justify="left" if column == "class" else "right")
        for name, counts in self.classes.items():
            table.add_row(Text(name), str(counts.boxes), str(counts.tracks), str(counts.global_ids))
        return [table]

    def of_class(self, name: str) -> ClassCounts:
        """Return the counts of a class, which may be new."""
        return self.classes.setdefault(name, ClassCounts())

    def set_global_ids(self, by_class: Mapping[str, int]) -> None:
        """Set the numbers of global ids, in all and of each class."""
        self.global_ids = sum(by_class.values())
        for name, counts in self.classes.items():
            counts.global_ids = by_class.get(name, 0)
