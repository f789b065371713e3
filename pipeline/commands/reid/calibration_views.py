"""Embeddings of people for `mtmc reid calibrate`: of labelled crops, by place, or of the tracks of finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.commands.reid.arguments import named_folders, named_values
from pipeline.commands.reid.site_views import ENOUGH_CONFIRMED_PAIRS, site_views
from pipeline.core.errors import InputError
from pipeline.core.network_input import NetworkInput
from pipeline.core.vectors import unit
from pipeline.cross_camera.match_threshold import Views
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
        sentences: what to tell the user about the pairs.
        halves_below: with fewer pairs of one person than this, the halves of tracks are measured, too.
    """

    places: Mapping[str, Sequence[Views]]
    left_out: Mapping[str, Sequence[Views]]
    source: str
    sentences: Sequence[str] = ()
    halves_below: int = 1


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
    """Read the tracks of finished runs; arguments and errors as for `site_views`."""
    found = site_views(tracklets, expected_hash)
    source = f"tracks of {len({view.camera for view in found.views})} cameras"
    if found.confirmed:
        source += f" with {len(found.confirmed)} confirmed people"
    return PlaceViews(
        {ONLY_SET: found.views}, {}, source, sentences=found.sentences, halves_below=ENOUGH_CONFIRMED_PAIRS
    )


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
