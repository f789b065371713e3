"""Measures how IDF1 depends on each limit of a tracker: one limit is changed at a time, by a few percent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.assembly import match_limits
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.contestants import Tracked, run_peer, run_project
from pipeline.benchmark.peer import Peer
from pipeline.benchmark.saved_run import SavedRun, opened, saved_detections
from pipeline.benchmark.ultralytics_trackers import TRACKERS, limits_of_tracker, ultralytics_peer
from pipeline.config.config import Config
from pipeline.core.errors import InputError
from pipeline.core.section import Section
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.scoring.evaluation import score

#: Factors by which a limit is multiplied.
FACTORS = (0.8, 0.9, 1.0, 1.1, 1.2)
ONLINE, OFFLINE = "mtmc, online", "mtmc, offline"

_CALIBRATED = "calibrated"


@dataclass(frozen=True)
class Curve:
    """IDF1 over the factors of one limit.

    Attributes:
        tracker: name of the tracker.
        limit: name of the limit.
        value: the value that is multiplied.
        idf1: factor -> IDF1 in [0, 1] over all cameras; None where the configuration does not allow the value.
    """

    tracker: str
    limit: str
    value: float
    idf1: Mapping[float, float | None]

    @property
    def spread(self) -> float:
        """Difference between the largest and the smallest IDF1."""
        known = [value for value in self.idf1.values() if value is not None]
        return max(known) - min(known)

    def to_dict(self) -> dict[str, Any]:
        """Return the curve for JSON."""
        return {
            "tracker": self.tracker,
            "limit": self.limit,
            "value": self.value,
            "idf1": {str(factor): value for factor, value in self.idf1.items()},
            "spread": self.spread,
        }


def own_limits(config: Config, limits: MatchLimits) -> dict[str, float]:
    """Return every limit of tracking and linking: each setting that is a number with a fraction and not 0.

    Args:
        limits: the calibrated match limits, as numbers.

    Returns:
        Name, such as `tracker.max_lost_s`, -> value.
    """
    calibrated = {
        "tracker.max_cosine_distance": limits.tracker,
        "linker.max_cosine_distance": limits.linker.cosine,
        "linker.max_centred_cosine_distance": limits.linker.centred_cosine,
        "second_pass.max_cosine_distance": limits.second_pass.cosine,
        "second_pass.max_centred_cosine_distance": limits.second_pass.centred_cosine,
    }
    found: dict[str, float] = {}
    for name in ("tracker", "linker", "second_pass"):
        section: Section = getattr(config, name)
        for key in type(section).model_fields:
            value = getattr(section, key)
            if value == _CALIBRATED:
                value = calibrated[f"{name}.{key}"]
            if isinstance(value, float) and value:
                found[f"{name}.{key}"] = value
    return found


def with_limit(config: Config, name: str, value: float) -> Config | None:
    """Return the configuration with another value of a limit from `own_limits`; None if it is not allowed."""
    section_name, key = name.split(".")
    section: Section = getattr(config, section_name)
    try:
        changed = type(section).model_validate({**section.model_dump(by_alias=True), key: value})
    except ValidationError:
        return None
    return config.model_copy(update={section_name: changed})


def own_curves(
    chosen: BenchmarkSet,
    cache: Path,
    *,
    only: Sequence[str] = (),
    on_step: Callable[[str], None] = lambda what: None,
) -> list[Curve]:
    """Return the curves of this project, online and offline.

    Args:
        cache: folder for saved detections and embeddings.
        only: names of the limits to change; by default all.
        on_step: called with a description of each step.

    Raises:
        InputError: `only` names something else; or as in `saved_detections`.
    """
    files = saved_detections(chosen, cache)
    with opened(files, chosen.config.detector.confidence_min) as saved:
        embedder_hash = saved.detector.embedder_hash
    limits = match_limits(chosen.config, embedder_hash)
    known = own_limits(chosen.config, limits)
    plain = {
        name: _own_idf1(chosen, files, chosen.config, second_pass=name == OFFLINE) for name in (ONLINE, OFFLINE)
    }
    unknown = [limit for limit in only if limit not in known]
    if unknown:
        raise InputError(f"{unknown[0]} is not a limit; the limits are {', '.join(known)}")
    curves = []
    for limit in only or known:
        found: dict[str, dict[float, float | None]] = {name: {} for name in plain}
        for factor in FACTORS:
            on_step(f"{chosen.name}: {limit} x {factor}")
            config = chosen.config if factor == 1 else with_limit(chosen.config, limit, factor * known[limit])
            for name, idf1 in found.items():
                if factor == 1:
                    idf1[factor] = plain[name]
                elif config is None:
                    idf1[factor] = None
                elif name == ONLINE and limit.startswith("second_pass."):
                    idf1[factor] = plain[name]
                else:
                    idf1[factor] = _own_idf1(chosen, files, config, second_pass=name == OFFLINE)
        curves += [Curve(name, limit, known[limit], idf1) for name, idf1 in found.items()]
    return curves


def peer_curves(
    chosen: BenchmarkSet, cache: Path, *, on_step: Callable[[str], None] = lambda what: None
) -> list[Curve]:
    """Return the curves of all trackers of Ultralytics, over every limit in their settings files.

    Args:
        cache, on_step: as in `own_curves`.
    """
    files = saved_detections(chosen, cache)
    curves = []
    for name in TRACKERS:
        plain = _peer_idf1(chosen, files, ultralytics_peer(name))
        for limit, value in limits_of_tracker(name).items():
            idf1: dict[float, float | None] = {}
            for factor in FACTORS:
                on_step(f"{chosen.name}: {name}, {limit} x {factor}")
                changed = ultralytics_peer(name, {limit: factor * value})
                idf1[factor] = plain if factor == 1 else _peer_idf1(chosen, files, changed)
            curves.append(Curve(ultralytics_peer(name).name, limit, value, idf1))
    return curves


def _own_idf1(chosen: BenchmarkSet, files: Mapping[str, Path], config: Config, *, second_pass: bool) -> float:
    def tracked(saved: SavedRun) -> Tracked:
        embedder_hash = saved.detector.embedder_hash
        limits = match_limits(config, embedder_hash)
        return run_project(config, limits, saved.sources, saved.detector, embedder_hash, second_pass=second_pass)

    return _idf1(chosen, files, tracked)


def _peer_idf1(chosen: BenchmarkSet, files: Mapping[str, Path], peer: Peer) -> float:
    return _idf1(chosen, files, lambda saved: run_peer(peer, saved.sources, saved.detector))


def _idf1(chosen: BenchmarkSet, files: Mapping[str, Path], run: Callable[[SavedRun], Tracked]) -> float:
    with opened(files, chosen.config.detector.confidence_min) as saved:
        tracked = run(saved)
    idf1 = score(tracked.boxes, chosen.ground_truth).all_cameras.idf1
    if idf1 is None:
        raise InputError(f"{chosen.name}: the ground truth has no boxes, so there is no IDF1")
    return idf1
