"""Detections from files instead of a model, and the matching frames without pictures."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from detectors.mot_file import read_mot_detections
from detectors.parquet_file import DetectionWriter, FileInfo, SavedDetections
from detectors.weights import sha256
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Computation
from pipeline.files.frame_grid import FrameGrid
from pipeline.sources.base import FrameSource

__all__ = ["DetectionWriter", "FileInfo", "ReplayDetector", "SavedDetections", "SavedFrames"]
_log = logging.getLogger(__name__)
# Boxes in shares of the picture reach to 1, or slightly beyond.
_LARGEST_SHARE = 2.0
# Saved times and those of the recording may differ by this share of the time between two frames, and of the time since
# the first frame. Correct clocks (`clock_rate`) differ by much less than the latter.
_TIME_SHARES = (0.5, 0.002)


class ReplayDetector:
    """Returns saved detections (and embeddings) of each frame, from one file per camera.

    Args:
        files: for each camera id a .parquet file that `DetectionWriter` wrote, or a MOTChallenge det.txt.
        class_name: class of the boxes of a det.txt.
        confidence_min: boxes with a lower confidence are left out.

    Attributes:
        class_names: names of the class ids of all files.
        model_hash: hash of the files' content.
        embedder_hash: `model_hash` of the embedder whose embeddings the files hold; empty without embeddings.
        embedder_hashes: the same for each camera.
        embedding_dim: D of those embeddings, or None.

    Raises:
        InputError: a file is missing or invalid, or two files hold embeddings of different models or different names
            for a class id.
    """

    def __init__(
        self, files: Mapping[str, str | Path], *, class_name: str = "person", confidence_min: float = 0.0
    ) -> None:
        self._confidence_min = confidence_min
        self._last_asked: dict[str, int] = {}
        # First time in the recording and in the file; absent once a difference was said.
        self._began_s: dict[str, tuple[float, float]] = {}
        self._parquet: dict[str, SavedDetections] = {}
        self._text: dict[str, dict[int, Detections]] = {}
        self._paths = dict(files)
        for camera_id, path in files.items():
            if Path(path).suffix.lower() == ".parquet":
                self._parquet[camera_id] = SavedDetections(path)
            else:
                self._text[camera_id] = read_mot_detections(path)
        self.class_names = self._merged_class_names({0: class_name} if self._text else {})
        infos = {camera_id: saved.info for camera_id, saved in self._parquet.items()}
        self.embedder_hashes = {
            camera_id: infos[camera_id].embedder_hash if camera_id in infos else "" for camera_id in files
        }
        self.embedder_hash = self._single_embedder()
        self.embedding_dim = next(
            (info.embedding_dim for info in infos.values() if info.embedding_dim is not None), None
        )
        self.computation: Computation | None = None
        contents = "".join(sha256(Path(path)) for _, path in sorted(files.items()))
        self.model_hash = hashlib.sha256(contents.encode()).hexdigest()[:16]

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the saved detections of each frame, in the order of `frames`; images are ignored."""
        return [self._of(frame) for frame in frames]

    @property
    def text_grids(self) -> dict[str, FrameGrid]:
        """The frames with boxes of each camera whose file is a det.txt."""
        return {
            camera_id: FrameGrid.of(np.array(list(frames), np.int64)) for camera_id, frames in self._text.items()
        }

    def unused(self, stride: int = 1) -> list[str]:
        """Return a sentence for each file with boxes, or saved frames, after the last frame that was asked for.

        Args:
            stride: every n-th frame was asked for.
        """
        sentences = []
        for camera_id, saved in self._parquet.items():
            last = self._last_asked.get(camera_id, -1)
            late = max(saved.last_frame_index - last, 0)
            if late >= stride:
                sentences.append(
                    f"{self._paths[camera_id]} was saved from {saved.last_frame_index + 1} frames, but the last one of "
                    f"camera {camera_id} is {last + 1}: does the file belong to this recording?"
                )
        for camera_id, frames in self._text.items():
            last = self._last_asked.get(camera_id, -1)
            late = sum(len(found) for index, found in frames.items() if index >= last + stride)
            if late:
                boxes = sum(len(found) for found in frames.values())
                sentences.append(
                    f"{self._paths[camera_id]}: {late} of {boxes} boxes are not used, because they are in frames after "
                    f"{last + 1}, the last one of camera {camera_id}: does the file belong to this recording?"
                )
        return sentences

    def close(self) -> None:
        """Close the files."""
        for saved in self._parquet.values():
            saved.close()

    def _of(self, frame: Frame) -> Detections:
        camera_id = frame.camera_id
        first = camera_id not in self._last_asked
        self._last_asked[camera_id] = frame.frame_index
        if camera_id in self._text:
            if first:
                self._check_size(camera_id, frame.size_wh)
            found = self._text[camera_id].get(frame.frame_index, Detections.empty())
        elif camera_id in self._parquet:
            saved = self._parquet[camera_id]
            if saved.info.size_wh != frame.size_wh:
                raise InputError(
                    f"{saved.path} was saved from frames of {_size(saved.info.size_wh)}, but those of camera "
                    f"{camera_id} are {_size(frame.size_wh)}: it belongs to another recording"
                )
            found = saved.at(frame.frame_index)
            if first:
                self._began_s[camera_id] = (frame.time_s, saved.time_s_of(frame.frame_index))
            self._check_time(saved, frame)
        else:
            known = ", ".join([*self._parquet, *self._text])
            raise InputError(f"no file of saved detections for camera {camera_id}; there are files for: {known}")
        return found[found.confidence >= self._confidence_min]

    def _check_time(self, saved: SavedDetections, frame: Frame) -> None:
        """Warn once if a frame has another time than when its detections were saved."""
        if frame.camera_id not in self._began_s:
            return
        here_s, there_s = self._began_s[frame.camera_id]
        took_s, saved_s = frame.time_s - here_s, saved.time_s_of(frame.frame_index) - there_s
        of_period, of_time = _TIME_SHARES
        if abs(took_s - saved_s) > of_period / saved.info.frame_rate + of_time * saved_s:
            del self._began_s[frame.camera_id]
            _log.warning(
                "%s was saved at %.4g frames/s: there, frame %d comes %.3f s after the first one, but %.3f s in the "
                "recording of camera %s, whose times are used. Does the file belong to this recording, with this "
                "frame_rate and clock_rate?",
                saved.path,
                saved.info.frame_rate,
                frame.frame_index + 1,
                saved_s,
                took_s,
                frame.camera_id,
            )

    def _check_size(self, camera_id: str, size_wh: tuple[int, int]) -> None:
        """Warn if boxes of a det.txt lie outside the picture, or all in its first two pixels."""
        frames = self._text[camera_id].values()
        xyxy = np.concatenate([found.xyxy for found in frames]) if frames else np.zeros((0, 4), np.float32)
        centres = (xyxy[:, :2] + xyxy[:, 2:]) / 2
        if len(xyxy) and xyxy.max() <= _LARGEST_SHARE:
            _log.warning(
                "%s: no box reaches further than %.3g px: are these shares of the picture? Boxes are in pixels",
                self._paths[camera_id],
                xyxy.max(),
            )
        outside = int(((centres < 0) | (centres > size_wh)).any(axis=1).sum())
        if outside:
            right, bottom = xyxy[:, 2:].max(axis=0)
            _log.warning(
                "%s: the centres of %d of %d boxes are outside the picture of camera %s, which is %s (boxes reach to "
                "%.0f, %.0f): does the file belong to this recording?",
                self._paths[camera_id],
                outside,
                len(xyxy),
                camera_id,
                _size(size_wh),
                right,
                bottom,
            )

    def _merged_class_names(self, names: dict[int, str]) -> dict[int, str]:
        for saved in self._parquet.values():
            for class_id, name in saved.info.class_names.items():
                if names.setdefault(class_id, name) != name:
                    raise InputError(
                        f"class id {class_id} is {name!r} in {saved.path}, but {names[class_id]!r} elsewhere; "
                        "save the detections of all cameras with one detector"
                    )
        return names

    def _single_embedder(self) -> str:
        """Return the hash of the embedder of all files; embeddings of different models cannot be compared."""
        first, first_camera = "", ""
        for camera_id, embedder_hash in self.embedder_hashes.items():
            if embedder_hash and first and embedder_hash != first:
                raise InputError(
                    f"the saved embeddings of camera {first_camera} are of the model {first}, those of camera "
                    f"{camera_id} of {embedder_hash}: they cannot be compared; save them with one model"
                )
            if embedder_hash and not first:
                first, first_camera = embedder_hash, camera_id
        return first


class SavedFrames(FrameSource):
    """The frames of a .parquet file of saved detections, with their times but without pictures.

    They allow the association to run again without decoding a video. Times are those of the run that saved them.
    """

    def __init__(self, path: str | Path, camera_id: str | None = None) -> None:
        self._saved = SavedDetections(path)
        info = self._saved.info
        indices = np.fromiter((frame_index for frame_index, _ in self._saved.times()), np.int64)
        super().__init__(
            camera_id or info.camera_id,
            str(path),
            frame_count=info.frame_count,
            frame_rate=info.frame_rate,
            size_wh=info.size_wh,
            index_step=FrameGrid.of(indices).stride,
        )

    def close(self) -> None:
        super().close()
        self._saved.close()

    def _frames(self) -> Iterator[Frame]:
        for frame_index, time_s in self._saved.times():
            yield Frame(
                camera_id=self.camera_id,
                frame_index=frame_index,
                time_s=time_s,
                size_wh=self.size_wh,
                image=None,
            )


def _size(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
