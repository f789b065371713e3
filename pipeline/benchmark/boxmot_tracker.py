"""BoT-SORT of boxmot with OSNet, in a separate environment: its requirements differ from those of this project."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.benchmark import boxmot_worker
from pipeline.benchmark.boxmot_worker import receive, send
from pipeline.benchmark.peer import Peer, PeerTracker, PeerTracks
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError, RunError

_MAJOR = "25"


def boxmot_peer(python: Path, weights: Path) -> Peer:
    """Return BoT-SORT with the defaults of its package.

    Args:
        python: interpreter of an environment with boxmot 25.
        weights: file of the re-identification network, with the name that boxmot gives it
            (osnet_x0_25_msmt17.pt or .onnx).

    Raises:
        InputError: a file is missing, or the environment does not have boxmot 25.
    """
    for what, path in (("interpreter", python), ("weights", weights)):
        if not path.exists():
            raise InputError(f"boxmot's {what}: there is no file {path}")
    ask = "import boxmot; from importlib.metadata import version; print(version('boxmot'))"
    found = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    if found.returncode:
        raise InputError(f"{python} cannot import boxmot: {found.stderr.strip().splitlines()[-1:]}")
    version = found.stdout.split()[-1]  # the package may print a greeting before
    if version.split(".")[0] != _MAJOR:
        raise InputError(
            f"{python} has boxmot {version}, but {_MAJOR} is needed: other versions have other interfaces. "
            f"Install 'boxmot=={_MAJOR}.*' there"
        )
    return Peer(f"boxmot {version} BoT-SORT + OSNet", partial(_Tracker, python, weights), needs_pictures=True)


class _Tracker(PeerTracker):
    def __init__(self, python: Path, weights: Path, frame_rate: float) -> None:
        # `frame_rate` is not used: the settings file of the package assumes 30 frames per second for every video.
        command = [str(python), boxmot_worker.__file__, str(weights.resolve())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def update(self, frame: Frame, detections: Detections) -> PeerTracks:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert frame.image is not None
        zeros = np.zeros(len(detections), np.float32)
        rows = np.column_stack([detections.xyxy, detections.confidence, zeros])
        try:
            send(self._process.stdin, frame.image)
            send(self._process.stdin, rows)
            self._process.stdin.flush()
            tracks = receive(self._process.stdout)
        except (OSError, EOFError) as error:
            raise RunError(f"boxmot stopped at frame {frame.frame_index} of {frame.camera_id}: {error}") from error
        return PeerTracks.of(tracks[:, 4], tracks[:, :4])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # a worker that died has left unread bytes
            self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
