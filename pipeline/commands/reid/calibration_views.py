"""Embeddings of people for `mtmc reid calibrate`: of labelled crops, by place, or of the tracks of finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.commands.reid.arguments import named_folders, named_values
from pipeline.core.errors import InputError
from pipeline.core.network_input import NetworkInput
from pipeline.core.vectors import unit
from pipeline.cross_camera.match_threshold import Views
from pipeline.files.tracklet_file import read_info, read_tracklets
from reid.backends.choose import EmbeddingModel, build_backend
from reid.checkpoints import LoadedModel
from reid.datasets import CropSet, hold_out_identities, identities_digest, read_dataset
from reid.device import choose_device
from reid.embedding_model import header_of, load_embedding_model, resize_of
from reid.evaluation.exported_features import exported_features
from reid.evaluation.features import extract_features
from reid.training.data import ONLY_SET
from reid.training.start import learned_identities
from reid.training.transforms import EvaluationTransform


@dataclass(frozen=True)
class PlaceViews:
    """Embeddings of people, by place.

    Attributes:
        places: those that determine the limits.
        left_out: those where the limits are only checked.
        source: words for the card.
    """

    places: Mapping[str, Sequence[Views]]
    left_out: Mapping[str, Sequence[Views]]
    source: str


def views_of_places(
    data: Sequence[str],
    left_out: Sequence[str],
    weights: Path,
    stated: NetworkInput | None,
    layout: str,
    cameras: Sequence[str] | None,
    development_ids: Sequence[str] | None,
    device: str,
) -> PlaceViews:
    """Embed labelled crops; arguments as on the command line."""
    model = load_embedding_model(weights, stated)
    learned = learned_identities(model.card) if isinstance(model, LoadedModel) else {}
    learning, judging = named_folders(data), named_folders(left_out)
    if both := learning.keys() & judging.keys():
        raise InputError(f"--data and --left-out are both named {min(both)!r}")
    folders = {**learning, **judging}
    cameras_of = named_values("--cameras", cameras, folders)
    counts = named_values("--development-ids", development_ids, folders)
    crops = {
        name: _labelled_crops(
            folder, layout, cameras_of.get(name), _count(counts.get(name)), learned.get(name, ())
        )
        for name, folder in folders.items()
    }
    views = {name: labelled_views(model, of_place, device) for name, of_place in crops.items()}
    return PlaceViews(
        {name: views[name] for name in learning},
        {name: views[name] for name in judging},
        f"labelled crops of {', '.join(name or folder.name for name, folder in learning.items())}",
    )


def views_of_site(tracklets: Sequence[Path], expected_hash: str | None) -> PlaceViews:
    views = _site_views(tracklets, expected_hash)
    cameras = {view.camera for view in views}
    return PlaceViews({ONLY_SET: views}, {}, f"tracks of {len(cameras)} cameras")


def _count(text: str | None) -> int:
    if text is not None and not text.isdecimal():
        raise InputError(f"--development-ids {text}: expected a number of identities")
    return int(text or 0)


def _labelled_crops(
    data: Path, layout: str, cameras: str | None, development_ids: int, learned: Sequence[str]
) -> CropSet:
    """Return crops of people who were not in the training; `learned` has the digests of those who were, and none if
    they are unknown."""
    dataset = read_dataset(data, layout)
    crops = dataset.train if development_ids else dataset.people
    if cameras is not None:
        names = cameras.split(",")
        if missing := [name for name in names if name not in crops.cameras]:
            raise InputError(
                f"--cameras {cameras}: {data} has no camera {missing[0]!r}; it has {', '.join(crops.cameras)}"
            )
        crops = crops.of_cameras(names)
    if not development_ids:
        return crops
    identities = len(crops.person_ids)
    if development_ids >= identities:
        raise InputError(
            f"--development-ids {development_ids}: the training part of {data} has only {identities} identities; "
            "give as many as the training held out"
        )
    if len(learned) > 1:
        raise InputError(
            f"--development-ids {development_ids}: the model is the average of trainings on {len(learned)} different "
            "sets of people, so those whom one training held out may have been in another; give people who were in "
            "none of them, without --development-ids"
        )
    rest, held_out = hold_out_identities(crops, development_ids)
    if learned and identities_digest(rest.person_ids) != learned[0]:
        raise InputError(
            f"--development-ids {development_ids}: the checkpoint learned other people of {data} than the "
            f"{len(rest.person_ids)} that remain, so it may know some of those who are held out; give --cameras and "
            "--development-ids as they were in its training"
        )
    return held_out


def labelled_views(model: EmbeddingModel, crops: CropSet, device: str) -> list[Views]:
    """Return the embeddings of each person in each camera, computed in 32 bit with the row for unknown cameras."""
    if isinstance(model, LoadedModel):
        transform = EvaluationTransform(model.model.config.image_size, model.input_mean, model.input_std)
        chosen = choose_device(device)
        features = extract_features(model.model.to(chosen), crops, transform, cameras=None, device=chosen).features
    else:
        header = replace(header_of(model), camera_names=())
        backend = build_backend(model, device=device, half=False)
        features = exported_features(backend, header, crops, resize=resize_of(model))
    embeddings = unit(features)
    persons = np.array([crop.person_id for crop in crops.crops], np.int64)
    shown_in = np.array([crop.camera for crop in crops.crops])
    views = []
    for person, camera in sorted(set(zip(persons.tolist(), shown_in.tolist(), strict=True))):
        mine = (persons == person) & (shown_in == camera)
        views.append(Views(person, camera, np.asarray(embeddings[mine], np.float32)))
    return views


def _site_views(folders: Sequence[Path], expected_hash: str | None) -> list[Views]:
    """Return the tracks of finished runs; tracks of one camera that overlap in time are two people."""
    views: list[Views] = []
    hashes: dict[str, Path] = {}
    for folder in folders:
        path = folder / "tracklets.arrow"
        if not path.is_file():
            raise InputError(f"{folder} holds no tracklets.arrow: name an output folder of `track`")
        embedder_hash = read_info(path).embedder_hash
        if not embedder_hash:
            raise InputError(f"{path}: the tracks have no embeddings; track with an embedding model")
        if expected_hash is not None and embedder_hash != expected_hash:
            raise InputError(
                f"{path}: its embeddings are of the model {embedder_hash}, but the file that stores the result "
                f"belongs to {expected_hash}; track with that model (and site file) first"
            )
        if hashes and embedder_hash not in hashes:
            raise InputError(
                f"{path} and {next(iter(hashes.values()))} hold embeddings of two models, which cannot be compared"
            )
        hashes.setdefault(embedder_hash, path)
        found = [tracklet for tracklet in read_tracklets(path) if tracklet.good_crops > 1]
        first = len(views)
        for tracklet in found:
            others = frozenset(
                first + row
                for row, other in enumerate(found)
                if other is not tracklet
                and other.camera_id == tracklet.camera_id
                and other.start_s <= tracklet.end_s
                and tracklet.start_s <= other.end_s
            )
            views.append(Views(len(views), tracklet.camera_id, tracklet.embeddings, others))
    return views
