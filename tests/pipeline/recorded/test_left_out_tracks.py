"""A run whose first camera has a poster in view: it is left out, and this is said everywhere."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import main
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.decisions import Outcome, Reason
from pipeline.core.errors import RunError
from pipeline.core.models import Detector
from pipeline.files.decision_file import left_out_tracks, read_decisions
from pipeline.files.run_folder import DECISIONS_NAME
from pipeline.files.tracklet_file import TrackletFile
from pipeline.recorded.run_summary import RunSummary
from tests.helpers.simulated_run import SimulatedRun, csv_rows

WORLD = SimulatedWorld(cameras=2, people=4)
FRAMES = 80
POSTER = (600.0, 440.0, 615.0, 475.0)
KEEP = {"tracker": {"leave_out_still": False}}


class WithPoster:
    """The boxes of another detector and, in cam1, one at the same place in each frame.

    Args:
        moves_at_s: from this time on, the box moves; None for never.
        confidence: of the box, after two frames with .6.
    """

    def __init__(self, detector: Detector, moves_at_s: float | None = None, confidence: float = 0.47) -> None:
        self._detector, self._moves_at_s, self._confidence = detector, moves_at_s, confidence
        self.class_names, self.model_hash = detector.class_names, detector.model_hash
        self.computation = detector.computation

    def detect(self, frames: list[Frame]) -> list[Detections]:
        return [
            self._with_poster(frame, found) if frame.camera_id == "cam1" else found
            for frame, found in zip(frames, self._detector.detect(frames), strict=True)
        ]

    def _with_poster(self, frame: Frame, found: Detections) -> Detections:
        moved_s = 0.0 if self._moves_at_s is None else max(0.0, frame.time_s - self._moves_at_s)
        box = np.array([POSTER], np.float32) - np.array([[40 * moved_s, 0, 40 * moved_s, 0]], np.float32)
        sure = 0.6 if frame.frame_index < 2 else self._confidence
        return Detections(
            np.concatenate([found.xyxy, box]).astype(np.float32),
            np.append(found.confidence, sure).astype(np.float32),
            np.append(found.class_id, 0).astype(np.int64),
        )


def run(folder: Path, detector: WithPoster | None = None, **settings: object) -> RunSummary:
    detector = detector or WithPoster(WORLD.detector())
    return SimulatedRun(WORLD, FRAMES, detector=detector, embedder=None, settings=settings).into(folder)


def poster_frames(folder: Path) -> list[int]:
    """Indices of the frames with a row of the poster."""
    rows = [row for row in csv_rows(folder) if row["camera_id"] == "cam1"]
    return [int(row["frame_index"]) for row in rows if float(row["y1"]) == POSTER[1]]


def said_of(summary: RunSummary) -> str:
    console = Console(width=200)
    with console.capture() as said:
        console.print(summary.tables())
    return " ".join(said.get().split())


def test_a_poster_is_left_out_and_the_summary_says_so(tmp_path: Path) -> None:
    summary = run(tmp_path / "out")
    assert poster_frames(tmp_path / "out") == []
    assert {name: counts.left_out for name, counts in summary.cameras.items()} == {"cam1": 1, "cam2": 0}
    assert "Tracks left out because they never moved, as posters and mannequins do not: 1 of cam1" in said_of(
        summary
    )
    assert json.loads((tmp_path / "out/run.json").read_text())["cameras"]["cam1"]["left_out"] == 1
    kept = run(tmp_path / "kept", **KEEP)
    assert poster_frames(tmp_path / "kept") == list(range(FRAMES))
    assert kept.global_ids == summary.global_ids + 1
    assert kept.people + (kept.fragments or 0) == summary.people + (summary.fragments or 0) + 1
    assert "never moved" not in said_of(kept)


def test_online_it_is_left_out_from_3_s_on(tmp_path: Path) -> None:
    run(tmp_path, second_pass={"enabled": False})
    frames = poster_frames(tmp_path)
    # Rows are held for .8 s, so that those of the last .8 s before the decision are left out, too.
    assert frames == list(range(len(frames)))
    assert 20 <= len(frames) <= 23


def test_who_moves_after_a_while_keeps_all_rows(tmp_path: Path) -> None:
    summary = run(tmp_path, WithPoster(WORLD.detector(), moves_at_s=5.0))
    assert poster_frames(tmp_path) == list(range(FRAMES))
    assert sum(counts.left_out for counts in summary.cameras.values()) == 0
    told = [(one.outcome, one.reason) for one in read_decisions(tmp_path / DECISIONS_NAME)]
    assert (Outcome.LEFT_OUT, Reason.NEVER_MOVED) in told
    assert (Outcome.TAKEN_BACK, Reason.MOVED) in told
    assert left_out_tracks(tmp_path / DECISIONS_NAME) == set()


def test_boxes_with_low_confidence_are_left_out_and_counted(tmp_path: Path) -> None:
    detector = WithPoster(WORLD.detector(), moves_at_s=0.0, confidence=0.35)
    summary = run(tmp_path, detector)
    shown = len(poster_frames(tmp_path))
    # The mean falls from .6 to .35 + .25 exp(-t) < .45 at t = .92 s after the second frame.
    assert shown == 11
    assert summary.cameras["cam1"].weak_boxes == FRAMES - shown
    assert f"Boxes left out because their track had a low confidence: {FRAMES - shown}" in said_of(summary)
    run(tmp_path / "kept", detector, tracker={"shown_confidence": 0.0})
    assert len(poster_frames(tmp_path / "kept")) == FRAMES


def test_it_can_be_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "out")
    ((camera_id, track_id),) = left_out_tracks(tmp_path / "out" / DECISIONS_NAME)
    with pytest.raises(SystemExit) as stop:
        main(["explain", str(tmp_path / "out"), "--track", f"{camera_id}:{track_id}"])
    said = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    assert f"Track {track_id} of camera cam1: not in trajectories.csv, because it never moved" in said
    assert "3.00 s: left out of trajectories.csv, because it has never moved since it began" in said


def test_linking_again_and_after_an_interruption_leaves_it_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    seen = 0

    def interrupt(camera_id: str) -> None:
        nonlocal seen
        seen += 1
        if seen == 2 * (FRAMES - 10):
            raise KeyboardInterrupt

    interrupted = SimulatedRun(WORLD, FRAMES, detector=WithPoster(WORLD.detector()), embedder=None)
    with pytest.raises(RunError, match="interrupted"):
        interrupted.into(out, on_frame=interrupt)
    assert poster_frames(out)
    poster = left_out_tracks(out / DECISIONS_NAME)
    assert not poster & {tracklet.key for tracklet in TrackletFile(out / "tracklets.arrow")}
    for _ in range(2):
        with pytest.raises(SystemExit) as stop:
            main(["link", str(out), "--overwrite"])
        assert stop.value.code == 0
        assert poster_frames(out) == []
        assert "1 track is left out because it never moved" in " ".join(capsys.readouterr().out.split())


def test_a_run_without_still_tracks_is_as_without_the_setting(tmp_path: Path) -> None:
    world = dataclasses.replace(WORLD, people=12)
    for name, settings in (("with", {}), ("without", {**KEEP})):
        SimulatedRun(world, 60, settings=settings).into(tmp_path / name)
    assert csv_rows(tmp_path / "with") == csv_rows(tmp_path / "without")
