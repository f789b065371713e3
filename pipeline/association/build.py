"""Builds everything between detections and rows, for recordings, live video and benchmarks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from math import inf

from pipeline.association.associator import Associator
from pipeline.config.config import Config
from pipeline.core.datatypes import Correction
from pipeline.core.models import PEOPLE, Embedder, embedded_classes, named_in
from pipeline.core.stage_clock import StageClock
from pipeline.cross_camera.decision_log import DecisionLog
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.cross_camera.second_pass import SecondPass
from pipeline.cross_camera.second_pass_log import SecondPassLog
from pipeline.floor.camera_geometry import CameraGeometry
from pipeline.single_camera.tracker import SingleCameraTracker

_log = logging.getLogger(__name__)

_LISTED_CLASSES = 8  # of a warning; a detector may know thousands
# Live rows wait for unconfirmed tracks, but not for those of a camera that has been silent for this long.
_LIVE_UNCONFIRMED_WAIT_S = 0.5


def build_associator(
    config: Config,
    limits: MatchLimits,
    *,
    geometries: Mapping[str, CameraGeometry],
    embedder: Embedder | None,
    class_names: Mapping[int, str],
    clock: StageClock,
    on_correction: Callable[[Correction], None] | None = None,
    log: DecisionLog | None = None,
    leave_out_still: bool = True,
) -> Associator:
    """Build the trackers, the linker and the buffer of rows that wait for ids.

    Args:
        geometries: by camera, in the order of the cameras; live cameras may be added later.
        on_correction: called with each correction of released rows. A value other than None means a live run: no
            second pass follows, and the waiting times of `config.live` apply.
        log: is told why each track is linked; None if nobody asks.
        leave_out_still: as in `Associator`.
    """
    live = on_correction is not None
    linker = OnlineLinker(
        list(geometries),
        config.linker,
        limits.linker,
        decisions_are_final=live,
        on_correction=on_correction,
        log=log,
    )
    named = named_in(class_names.values(), PEOPLE)
    people = frozenset(class_id for class_id, name in class_names.items() if name in named)
    return Associator(
        geometries=geometries,
        new_tracker=lambda: SingleCameraTracker(config.tracker, limits.tracker, people),
        linker=linker,
        embedder=embedder,
        class_names=class_names,
        embedded_classes=_embedded(config, class_names, embedder),
        hold_s=config.live.hold_s if live else config.linker.hold_s,
        max_silence_s=config.live.max_silence_s if live else config.tracker.max_lost_s,
        max_detections=config.detector.max_detections,
        clock=clock,
        unconfirmed_wait_s=_LIVE_UNCONFIRMED_WAIT_S if live else inf,
        leave_out_still=leave_out_still,
    )


def without_embeddings(
    config: Config, class_names: Mapping[int, str], embedder: Embedder | None, embedder_hash: str
) -> list[str]:
    """Return the names of the detector's classes whose boxes get no embedding.

    Args:
        embedder: of the run; None if embeddings come from files, or there are none.
        embedder_hash: hash of the model that computes or computed the embeddings; '' if there are none.
    """
    names = list(dict.fromkeys(class_names.values()))
    if not embedder_hash:
        return names
    embedded = _embedded(config, class_names, embedder)
    return [name for name in names if name not in embedded]


def _embedded(config: Config, class_names: Mapping[int, str], embedder: Embedder | None) -> frozenset[str]:
    classes = config.embedder.classes if embedder is None else embedded_classes(embedder)
    return named_in(class_names.values(), classes)


def warn_of_classes_without_embeddings(names: Sequence[str]) -> None:
    """Log how objects of these classes, which the re-identification model is not for, are linked."""
    if names:
        listed = ", ".join(names[:_LISTED_CLASSES]) + (", ..." if len(names) > _LISTED_CLASSES else "")
        _log.warning(
            "the re-identification model is not for %s: only floor positions and time link these objects between "
            "cameras, and nothing does without homographies. embedder.classes names the classes that a model is for",
            listed,
        )


def build_second_pass(
    config: Config, limits: MatchLimits, camera_ids: Sequence[str], log: SecondPassLog | None = None
) -> SecondPass:
    """Build the second pass over the tracklets of these cameras; `log` is told why tracks are joined."""
    return SecondPass(camera_ids, config.second_pass, config.linker, limits.second_pass, log)
