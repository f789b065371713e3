"""Track people across several cameras: the Python interface.

    import mtmc

    config = mtmc.load_config(overrides={"cameras": mtmc.named_sources(["hall=hall.mp4", "entrance=entrance.mp4"])})
    summary = mtmc.track(config, "results")
    for linked in mtmc.read_trajectories("results/trajectories.csv"):
        print(linked.link.global_id, linked.row.camera_id, linked.row.time_s, linked.row.xyxy)

Each name is imported at its first use, so that `import mtmc` is fast.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detectors.yolo import YoloDetector as YoloDetector
    from mtmc.images import embed_images as embed_images
    from pipeline.config.config import Config as Config
    from pipeline.config.config import load_config as load_config
    from pipeline.config.config import named_sources as named_sources
    from pipeline.core.datatypes import Detections as Detections
    from pipeline.core.datatypes import EmbeddedCrops as EmbeddedCrops
    from pipeline.core.datatypes import Frame as Frame
    from pipeline.core.datatypes import Link as Link
    from pipeline.core.datatypes import LinkedRow as LinkedRow
    from pipeline.core.datatypes import Tracklet as Tracklet
    from pipeline.core.datatypes import TrajectoryRow as TrajectoryRow
    from pipeline.core.errors import InputError as InputError
    from pipeline.core.errors import RunError as RunError
    from pipeline.core.models import Detector as Detector
    from pipeline.core.models import Embedder as Embedder
    from pipeline.files.results_csv import read_trajectories as read_trajectories
    from pipeline.recorded.rows import track_rows as track_rows
    from pipeline.recorded.run_summary import RunSummary as RunSummary
    from pipeline.recorded.track import track as track
    from pipeline.search.find import Found as Found
    from pipeline.search.find import Match as Match
    from pipeline.search.find import find as find
    from pipeline.sources.base import BrokenSource as BrokenSource
    from reid.embedder import NetworkEmbedder as NetworkEmbedder
    from reid.models.loading import load_transreid as load_transreid

_HOMES = {
    "BrokenSource": "pipeline.sources.base",
    "Config": "pipeline.config.config",
    "Detections": "pipeline.core.datatypes",
    "Detector": "pipeline.core.models",
    "EmbeddedCrops": "pipeline.core.datatypes",
    "Embedder": "pipeline.core.models",
    "Found": "pipeline.search.find",
    "Frame": "pipeline.core.datatypes",
    "InputError": "pipeline.core.errors",
    "Link": "pipeline.core.datatypes",
    "LinkedRow": "pipeline.core.datatypes",
    "Match": "pipeline.search.find",
    "NetworkEmbedder": "reid.embedder",
    "RunError": "pipeline.core.errors",
    "RunSummary": "pipeline.recorded.run_summary",
    "Tracklet": "pipeline.core.datatypes",
    "TrajectoryRow": "pipeline.core.datatypes",
    "YoloDetector": "detectors.yolo",
    "embed_images": "mtmc.images",
    "find": "pipeline.search.find",
    "load_config": "pipeline.config.config",
    "load_transreid": "reid.models.loading",
    "named_sources": "pipeline.config.config",
    "read_trajectories": "pipeline.files.results_csv",
    "track": "pipeline.recorded.track",
    "track_rows": "pipeline.recorded.rows",
}
__all__ = sorted(_HOMES)

_ROOT = Path(__file__).resolve().parents[1]


if not TYPE_CHECKING:  # type checkers take the names from the imports above

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'mtmc' has no attribute {name!r}")
        _check_not_hidden()
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__


def _hidden_by() -> dict[str, Path]:
    """Return the file of each other package that hides a package of this project, by package name."""
    found = {}
    for package in ("pipeline", "reid", "detectors"):
        spec = find_spec(package)
        origin = None if spec is None else spec.origin
        if origin is not None and _ROOT not in Path(origin).resolve().parents:
            found[package] = Path(origin)
    return found


def _check_not_hidden() -> None:
    for package, origin in _hidden_by().items():
        raise ImportError(
            f"another package named {package!r} ({origin}) hides the one that mtmc needs: uninstall it, or "
            f"put {_ROOT} at the start of sys.path"
        )
