"""The figures of a run, as numbers and as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.core.inference_runtime import Computation
from pipeline.counting.count import Counted
from pipeline.cross_camera.identity_limit import Forgotten
from pipeline.recorded.people import Person, fragments_by_class
from pipeline.recorded.people_table import people_table

PERSON = "person"
#: What a fragment is, in words for users.
FRAGMENT_TEXT = "a fragment is a track without a good crop that nothing links: nobody can say whose it is"


def by_class_name(by_class_id: Mapping[int, int], class_names: Mapping[int, str]) -> Counter[str]:
    """Return counts by the name of the class instead of its id; several ids may have one name."""
    counts: Counter[str] = Counter()
    for class_id, count in by_class_id.items():
        counts[class_names[class_id]] += count
    return counts


def counted(global_ids: Mapping[str, int], fragments: Mapping[str, int]) -> str:
    """Return the numbers of people and of fragments in words, by class unless there are only people.

    Args:
        global_ids: number of global ids of each class, those of fragments included.
        fragments: number of fragments of each class.
    """
    of_class = {name: count - fragments.get(name, 0) for name, count in sorted(global_ids.items())}
    total, loose = sum(of_class.values()), sum(fragments.values())
    if global_ids.keys() <= {PERSON}:
        text = "1 person" if total == 1 else f"{total} people"
    else:
        listed = ", ".join(f"{name} {count}" for name, count in of_class.items())
        text = f"{total} object{'s' * (total != 1)} ({listed})"
    return f"{text} and {loose} fragment{'s' * (loose != 1)}" if loose else text


@dataclass
class CameraCounts:
    """Counts of one camera.

    Attributes:
        quiet_frames: number of frames that the detector did not search, because nobody was there and nothing moved.
        late_frames: number of frames left out because they were not later than the previous one.
        left_out: number of tracks left out because they never moved.
        weak_boxes: number of boxes left out because their track had a low confidence.
        problem: why its recording could not be read to the end.
    """

    frames: int = 0
    boxes: int = 0
    tracks: int = 0
    quiet_frames: int = 0
    late_frames: int = 0
    left_out: int = 0
    weak_boxes: int = 0
    problem: str | None = None


@dataclass
class ClassCounts:
    """Counts of one class over all cameras; `global_ids` is the number of its objects that were distinguished, with
    the fragments among them."""

    boxes: int = 0
    tracks: int = 0
    global_ids: int = 0
    fragments: int = 0


@dataclass
class RunSummary:
    """Figures of a run.

    Attributes:
        cameras: by name.
        classes: by name; those of which a box was used.
        global_ids: number of people (or objects of other classes) distinguished over all cameras, by final ids if there
            are any. Fragments count as well, because each has an id.
        persons: everybody with a global id, in the order of these; None before the end of the run.
        unembedded_classes: classes of the detector without embeddings: floor positions and time alone link them.
        rows: rows of trajectories.csv.
        wall_s: seconds from the first frame to the last file.
        stage_s: seconds by stage; stages overlap, so their sum can exceed `wall_s`.
        embedded_crops, rejected_crops: number of crops sent to the embedder, and of those it could not use.
        unknown_cameras: cameras without a row in the embedding model's camera table -> what is used instead.
        hashes: of the models.
        computed_by: library, precision and device of the detector and the embedder, if they ran a network.
        counted: people at zones and lines; None without any.
        forgotten: by stage, online or second_pass: people who were forgotten before the end of the recording.
    """

    cameras: dict[str, CameraCounts] = field(default_factory=dict)
    classes: dict[str, ClassCounts] = field(default_factory=dict)
    unembedded_classes: list[str] = field(default_factory=list)
    global_ids: int = 0
    persons: Sequence[Person] | None = None
    rows: int = 0
    wall_s: float = 0.0
    stage_s: dict[str, float] = field(default_factory=dict)
    embedded_crops: int = 0
    rejected_crops: int = 0
    unknown_cameras: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    computed_by: dict[str, Computation] = field(default_factory=dict)
    counted: Counted | None = None
    forgotten: dict[str, Forgotten] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Frames of all cameras."""
        return sum(counts.frames for counts in self.cameras.values())

    @property
    def detector_share(self) -> float:
        """Share of the wall time that the detector took."""
        return self.stage_s.get("detect", 0.0) / self.wall_s if self.wall_s else 0.0

    @property
    def fragments(self) -> int | None:
        """Number of fragments, see `pipeline.cross_camera.fragments`; None before the end of the run."""
        return None if self.persons is None else sum(person.is_fragment for person in self.persons)

    @property
    def people(self) -> int:
        """Number of people (or objects of other classes) without fragments."""
        return self.global_ids - (self.fragments or 0)

    @property
    def problems(self) -> list[str]:
        """Why recordings ended early, one line each."""
        return [counts.problem for counts in self.cameras.values() if counts.problem]

    @property
    def forgotten_numbers(self) -> dict[str, dict[str, int]]:
        """The same as `forgotten`, as JSON data."""
        return {stage: asdict(numbers) for stage, numbers in self.forgotten.items()}

    def tables(self, *, verbose: bool = False) -> Group:
        """Return tables for the terminal; with `verbose`, also one of the time of each stage."""
        boxes = sum(counts.boxes for counts in self.cameras.values())
        parts: list[RenderableType] = [self._camera_table(), *self._class_tables()]
        if self.persons:
            parts.append(people_table(self.persons, list(self.cameras)))
        if verbose:
            parts.append(self._stage_table())
        lines = [
            f"{self._in_words} over all cameras ({self.global_ids} global id{'s' * (self.global_ids != 1)})"
            + (f"; {FRAGMENT_TEXT}" if self.fragments else ""),
            f"Crops embedded: {self.embedded_crops} of {boxes} boxes"
            + (f", {self.rejected_crops} rejected (empty or outside the image)" if self.rejected_crops else ""),
            f"Time: {self.wall_s:.1f} s, {self.frames / max(self.wall_s, 1e-9):.1f} camera frames per second in all; "
            f"detector: {self.detector_share:.0%} of the time",
        ]
        if quiet := self._by_camera("quiet_frames"):
            lines.append(
                f"Frames that were not searched because nobody was there and nothing moved: {quiet} "
                "(--set detector.motion_gate=false searches them)"
            )
        if late := self._by_camera("late_frames"):
            lines.append(f"Frames left out because they were not later than the previous one: {late}")
        weak = sum(counts.weak_boxes for counts in self.cameras.values())
        if weak:
            lines.append(
                f"Boxes left out because their track had a low confidence: {weak} "
                "(--set tracker.shown_confidence=0 keeps them)"
            )
        if still := self._by_camera("left_out"):
            lines.append(
                f"Tracks left out because they never moved, as posters and mannequins do not: {still} "
                "(--set tracker.leave_out_still=false keeps them)"
            )
        if self.unknown_cameras:
            by_stand_in: dict[str, list[str]] = {}
            for camera_id, stand_in in self.unknown_cameras.items():
                by_stand_in.setdefault(stand_in, []).append(camera_id)
            for stand_in, cameras in by_stand_in.items():
                lines.append(f"Cameras unknown to the embedding model, using its {stand_in}: {', '.join(cameras)}")
        unembedded = [name for name in self.unembedded_classes if name in self.classes]
        if unembedded:
            lines.append(f"Linked by floor positions and time alone, without embeddings: {', '.join(unembedded)}")
        for stage, numbers in self.forgotten.items():
            if numbers.surplus:
                lines.append(
                    f"Forgotten because there were too many ({stage.replace('_', ' ')}): {numbers.surplus} people, who "
                    "get a new id when they come back; see linker.max_identities"
                )
        at_zones = [] if self.counted is None else [self.counted.tables()]
        return Group(*parts, *lines, *at_zones)

    def to_dict(self) -> dict[str, Any]:
        """Return the same as the tables, as plain dictionaries, lists and numbers for JSON."""
        persons = self.persons or ()
        cameras = {
            name: {
                **asdict(counts),
                "people": sum(name in person.camera_ids for person in persons if not person.is_fragment),
                "fragments": sum(name in person.camera_ids for person in persons if person.is_fragment),
            }
            for name, counts in self.cameras.items()
        }
        return {
            "people": self.people,
            "fragments": self.fragments,
            "global_ids": self.global_ids,
            "rows": self.rows,
            "frames": self.frames,
            "cameras": cameras,
            "classes": {name: asdict(counts) for name, counts in self.classes.items()},
            "unembedded_classes": self.unembedded_classes,
            "embedded_crops": self.embedded_crops,
            "rejected_crops": self.rejected_crops,
            "unknown_cameras": self.unknown_cameras,
            "forgotten": self.forgotten_numbers,
            "hashes": self.hashes,
            "computed_by": {model: asdict(computation) for model, computation in self.computed_by.items()},
            "wall_s": round(self.wall_s, 3),
            "stage_s": {stage: round(seconds, 3) for stage, seconds in self.stage_s.items()},
            "problems": self.problems,
            "persons": [person.to_dict() for person in persons],
            "counted": None if self.counted is None else self.counted.to_dict(),
        }

    def _by_camera(self, field: str) -> str:
        """Return a count of each camera in words, such as "3 of hall"; '' if all are 0."""
        counts = {name: getattr(counts, field) for name, counts in self.cameras.items()}
        return ", ".join(f"{count} of {name}" for name, count in counts.items() if count)

    def _camera_table(self) -> Table:
        table = Table(title="Cameras")
        for column in ("camera", "frames", "boxes", "tracks"):
            table.add_column(column, justify="left" if column == "camera" else "right")
        for name, counts in self.cameras.items():
            table.add_row(Text(name), str(counts.frames), str(counts.boxes), str(counts.tracks))
        table.add_section()
        boxes, tracks = (
            sum(getattr(counts, field) for counts in self.cameras.values()) for field in ("boxes", "tracks")
        )
        table.add_row("all", str(self.frames), str(boxes), str(tracks))
        return table

    def _stage_table(self) -> Table:
        table = Table(title="Time")
        for column in ("stage", "seconds", "ms per camera frame"):
            table.add_column(column, justify="left" if column == "stage" else "right")
        per_frame = 1000 / max(self.frames, 1)
        for stage, seconds in self.stage_s.items():
            table.add_row(stage, f"{seconds:.1f}", f"{seconds * per_frame:.2f}")
        table.add_section()
        table.add_row("wall", f"{self.wall_s:.1f}", f"{self.wall_s * per_frame:.2f}")
        return table

    @property
    def _in_words(self) -> str:
        if not self.classes:
            return "Nobody"
        classes = self.classes.items()
        return counted(
            {name: counts.global_ids for name, counts in classes},
            {name: counts.fragments for name, counts in classes if counts.fragments},
        )

    def _class_tables(self) -> list[Table]:
        """Return the table of the classes; none if there are only people."""
        if self.classes.keys() <= {PERSON}:
            return []
        table = Table(title="Classes")
        for column in ("class", "boxes", "tracks", "global ids", "fragments"):
            table.add_column(column, justify="left" if column == "class" else "right")
        for name, counts in self.classes.items():
            numbers = (counts.boxes, counts.tracks, counts.global_ids, counts.fragments)
            table.add_row(Text(name), *map(str, numbers))
        return [table]

    def of_class(self, name: str) -> ClassCounts:
        """Return the counts of a class, which may be new."""
        return self.classes.setdefault(name, ClassCounts())

    def set_global_ids(self, by_class: Mapping[str, int]) -> None:
        """Set the numbers of global ids, in all and of each class."""
        self.global_ids = sum(by_class.values())
        for name, counts in self.classes.items():
            counts.global_ids = by_class.get(name, 0)

    def set_people(self, persons: Sequence[Person]) -> None:
        """Set who was distinguished, and the number of fragments of each class."""
        self.persons = persons
        for name, count in fragments_by_class(persons).items():
            self.of_class(name).fragments = count
