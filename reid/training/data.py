"""The crops of a run: which are for training, which for evaluation, and how data sets are mixed in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.errors import InputError
from reid.datasets import Crop, CropSet, ReidDataset, hold_out_identities, identities_digest
from reid.training.config import DataConfig, SetConfig, TrainingConfig

#: Class of a crop of an unknown person.
NO_IDENTITY = -1
#: Name of the data set in a run on only one; its cameras and people keep their names.
ONLY_SET = ""


@dataclass(frozen=True)
class SetPart:
    """The part of one data set in a run.

    Attributes:
        name: name of the data set; `ONLY_SET` if there is only one.
        rows: rows of its crops among the training crops.
        ids_per_batch: number of its identities in each batch.
        identities: whether its people are known.
        identities_digest: digest of the people in the training, with the data set's own numbers.
        draws: (query, gallery) for evaluation on its cameras; several if the protocol is a mean over draws, none if the
            data set has no part for evaluation.
    """

    name: str
    rows: range
    ids_per_batch: int
    identities: bool
    identities_digest: str
    draws: tuple[tuple[CropSet, CropSet], ...]


@dataclass(frozen=True)
class Parts:
    """The crops of a run.

    Attributes:
        train: training crops, data set by data set.
        sets: the part of each data set.
        cameras, views: names of the rows of the side information table, in order.
    """

    train: CropSet
    sets: tuple[SetPart, ...]
    cameras: tuple[str, ...]
    views: tuple[str, ...]

    @property
    def labels(self) -> list[int]:
        """Class index of every training crop; `NO_IDENTITY` if the person is unknown."""
        known = self.known
        class_of = {person_id: index for index, person_id in enumerate(known.person_ids)}
        labels = [NO_IDENTITY] * len(self.train)
        for part in self.sets:
            if part.identities:
                for row in part.rows:
                    labels[row] = class_of[self.train.crops[row].person_id]
        return labels

    @property
    def known(self) -> CropSet:
        """The training crops of known people."""
        return CropSet(tuple(self.train.crops[row] for part in self.sets if part.identities for row in part.rows))

    @property
    def digest(self) -> str:
        """Digest of the training crops."""
        return crops_digest(self.train)


def crops_digest(crops: CropSet) -> str:
    """Return 16 hexadecimal digits for the crops in their order: file names, identities and cameras."""
    lines = (f"{crop.path.name} {crop.person_id} {crop.camera}\n" for crop in crops.crops)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def set_configs(config: DataConfig) -> dict[str, SetConfig]:
    """Return the data sets of a run by name; one that `config` itself describes is called `ONLY_SET`."""
    if config.sets is not None:
        return dict(config.sets)
    only = SetConfig(
        share=1.0, layout=config.layout, cameras=config.cameras, development_ids=config.development_ids
    )
    return {ONLY_SET: only}


def used_images(datasets: Mapping[str, ReidDataset], config: DataConfig) -> list[Path]:
    """Return the image files that a run with `config` reads, sorted."""
    paths: set[Path] = set()
    for name, settings in set_configs(config).items():
        dataset = datasets[name]
        parts = [dataset.train]
        if not settings.development_ids:
            parts += [dataset.query, dataset.gallery]
        if settings.cameras is not None:
            parts = [part.of_cameras(settings.cameras) for part in parts]
        paths |= {crop.path for part in parts for crop in part.crops}
    return sorted(paths)


def split(datasets: Mapping[str, ReidDataset], config: TrainingConfig, left_out: Collection[Path] = ()) -> Parts:
    """Select the cameras, hold out the development identities of the training parts, and combine the data sets.

    Args:
        datasets: the data sets of `set_configs`, by name.
        left_out: image files to treat as if they did not exist.

    Raises:
        InputError: a camera is unknown, there are too few identities, or a viewpoint embedding is requested for data
            without viewpoints.
    """
    crops: list[Crop] = []
    sets: list[SetPart] = []
    cameras: list[CropSet] = []
    first_id = 0
    ids_per_batch = config.data.ids_of_sets()
    for name, settings in set_configs(config.data).items():
        train, draws, seen = _part(datasets[name], name, settings, ids_per_batch[name], left_out)
        digest = identities_digest(train.person_ids)
        train, seen = _renamed(train, name, first_id), _renamed(seen, name, first_id)
        draws = tuple(
            (_renamed(query, name, first_id), _renamed(gallery, name, first_id)) for query, gallery in draws
        )
        sets.append(
            SetPart(
                name,
                range(len(crops), len(crops) + len(train)),
                ids_per_batch[name],
                settings.identities,
                digest,
                _with_matches(draws, name),
            )
        )
        crops += train.crops
        cameras.append(seen)
        first_id = max(seen.person_ids) + 1
    everything = CropSet(tuple(crop for seen in cameras for crop in seen.crops))
    views = everything.views
    if config.model.view_embedding and len(views) < 2:
        raise InputError(
            f"model.view_embedding needs crops of at least two viewpoints, but the data set has {len(views)}; "
            "switch it off"
        )
    if not any(part.identities for part in sets) and config.loss.identity_weight:
        raise InputError(
            "no data set has identities, so the model can learn only from teachers: set loss.identity_weight to 0"
        )
    return Parts(CropSet(tuple(crops)), tuple(sets), everything.cameras, views)


def _part(
    dataset: ReidDataset, name: str, settings: SetConfig, ids_per_batch: int, left_out: Collection[Path]
) -> tuple[CropSet, tuple[tuple[CropSet, CropSet], ...], CropSet]:
    """Return (crops for training, draws for evaluation, all crops of the training part's cameras)."""
    where = f"data.sets.{name}" if name else "data"

    def chosen(crops: CropSet) -> CropSet:
        return (crops if settings.cameras is None else crops.of_cameras(settings.cameras)).without(left_out)

    if settings.cameras is not None:
        unknown = [camera for camera in settings.cameras if camera not in dataset.train.cameras]
        if unknown:
            raise InputError(
                f"{where}.cameras names {', '.join(unknown)}, but the training part's cameras are "
                f"{', '.join(dataset.train.cameras)}"
            )
    whole = chosen(dataset.train)
    held_out = settings.development_ids
    identities = len(whole.person_ids)
    if settings.identities and identities - held_out < ids_per_batch:
        raise InputError(
            f"the data set {name or dataset.root} has {identities} identities in its training part; "
            f"{where}.development_ids {held_out} and {ids_per_batch} identities per batch together need more"
        )
    if held_out:
        train, development = hold_out_identities(whole, held_out)
        return train, ((development, development),), whole
    if dataset.query is dataset.train or not settings.identities:
        return whole, (), whole
    draws = dataset.draws or ((dataset.query, dataset.gallery),)
    return whole, tuple((chosen(query), chosen(gallery)) for query, gallery in draws), whole


def _renamed(crops: CropSet, name: str, first_id: int) -> CropSet:
    """Return `crops` with ids and camera names that no other data set has."""
    if not name:
        return crops
    return CropSet(
        tuple(
            replace(crop, person_id=first_id + crop.person_id, camera=f"{name}/{crop.camera}")
            for crop in crops.crops
        )
    )


def _with_matches(draws: Sequence[tuple[CropSet, CropSet]], name: str) -> tuple[tuple[CropSet, CropSet], ...]:
    """Return `draws`; raise InputError if a draw has no query with a match in another camera."""
    for query, gallery in draws:
        cameras_of: dict[int, set[str]] = {}
        for crop in gallery.crops:
            cameras_of.setdefault(crop.person_id, set()).add(crop.camera)
        if not any(cameras_of.get(crop.person_id, set()) - {crop.camera} for crop in query.crops):
            seen = ", ".join(CropSet(query.crops + gallery.crops).cameras) or "none"
            raise InputError(
                f"nothing to evaluate on{f' in {name}' if name else ''}: none of the identities to find again is in "
                f"two cameras (cameras: {seen}); choose more cameras, or other crops"
            )
    return tuple(draws)
