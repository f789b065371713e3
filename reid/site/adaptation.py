"""Learning the side information of a site's cameras from the site's own unlabelled recordings.

Crops of one track show one person. Two simultaneous tracks of one camera are two people. Tracks of two cameras that are
each other's nearest by a clear margin are probably one person. That is enough for a contrastive loss on the SIE rows of
the cameras. The network itself does not change, so it forgets nothing. Optionally its layer norms are learned as well:
a few thousand values, stored in the site file.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.errors import InputError
from pipeline.core.vectors import camera_means, centred, track_means, unit
from reid.backends.base import Backend
from reid.checkpoints import LoadedModel
from reid.foreign_network import ForeignNetwork
from reid.model_header import UNKNOWN
from reid.models.transreid import TransReID
from reid.normalise import normalise
from reid.site.site import Site
from reid.site.site_crops import SiteCrops
from reid.site.with_site import layer_norms, unknown_camera_row, with_site
from reid.training.losses import supervised_contrastive_loss
from reid.training.sampler import PKSampler

#: With fewer tracks the contrastive loss carries no information about a camera.
FEWEST_TRACKS = 4
_EPOCHS_BETWEEN_ROUNDS = 1_000_000  # more than a round has


@dataclass(frozen=True)
class AdaptationSettings:
    """What is learned of a site, and how.

    Attributes:
        rounds: number of rounds of learning rows; the probable pairs of tracks are computed again before each. With 0,
            the camera means are measured and the rows stay those of unknown cameras.
        steps_per_round: batches per round, independent of the number of crops. Each batch moves the rows by about the
            same distance, and rows that move too far are worse than none.
        tracks_per_batch, crops_per_track: P and K of the batches; P is lower if there are fewer people.
        learning_rate: initial learning rate of Adam; it falls to a tenth along a cosine.
        learn_norms: also learn weights and biases of the layer norms, shared by all cameras.
        norm_learning_rate_factor: learning rate of the norms as a share of that of the rows; it is low because each
            norm value moves every feature.
        temperature: temperature of the contrastive loss.
        pair_margin: cosine distance by which the second nearest track must be further away. Two tracks of two cameras
            that are each other's nearest by this margin are probably one person.
        subtract_means: also store the camera means in the site file, for centring.
        seed: seed of the order of the crops.
    """

    rounds: int = 0
    steps_per_round: int = 25
    tracks_per_batch: int = 12
    crops_per_track: int = 4
    learning_rate: float = 3e-3
    learn_norms: bool = False
    norm_learning_rate_factor: float = 0.1
    temperature: float = 0.1
    pair_margin: float = 0.05
    subtract_means: bool = True
    seed: int = 0

    def lr_at(self, progress: float) -> float:
        """Return the learning rate after the share `progress` of the steps."""
        return self.learning_rate * (0.55 + 0.45 * math.cos(math.pi * progress))


def adapt(
    loaded: LoadedModel,
    crops: SiteCrops,
    settings: AdaptationSettings,
    *,
    device: torch.device,
    on_step: Callable[[int, int, float], None] = lambda done, total, loss: None,
) -> Site:
    """Learn an SIE row for each camera of the site, and the norms if the settings say so.

    Args:
        loaded: the model; it is not changed.
        on_step: called after each batch with the number of batches done, their total number, and the loss.

    Raises:
        InputError: there are too few tracks to learn from, or the model cannot be adapted.
    """
    _check_tracks(crops)
    start = unknown_camera_row(loaded.model).numpy()
    site = Site(
        model_hash=loaded.model_hash,
        camera_names=crops.camera_names,
        rows=np.repeat(start[None], len(crops.camera_names), axis=0).astype(np.float32),
        card={"crops": len(crops.images), "tracks": crops.tracks, "settings": asdict(settings)},
    )
    for number in range(settings.rounds):
        features = crop_features(with_site(loaded, site), crops, device=device)
        labels = probable_people(features, crops, margin=settings.pair_margin)
        site = _learn(loaded, site, crops, labels, settings, number, device, on_step)
    if settings.subtract_means:
        site = replace(site, means=site_means(crop_features(with_site(loaded, site), crops, device=device), crops))
    return site


def measure_means(network: ForeignNetwork, backend: Backend, crops: SiteCrops, *, batch: int = 64) -> Site:
    """Measure the camera means for a third-party network: nothing else can be learned without changing the network.

    Raises:
        InputError: there are too few tracks to learn from.
    """
    _check_tracks(crops)
    features = np.concatenate(
        [
            backend.features(images, np.full(len(images), UNKNOWN, np.int64))
            for images in np.split(crops.images, range(batch, len(crops.images), batch))
        ]
    )
    return Site(
        model_hash=network.header.model_hash,
        camera_names=crops.camera_names,
        rows=np.zeros((len(crops.camera_names), 0), np.float32),
        means=site_means(unit(features), crops),
        card={"crops": len(crops.images), "tracks": crops.tracks},
    )


def _check_tracks(crops: SiteCrops) -> None:
    if crops.tracks < FEWEST_TRACKS:
        raise InputError(
            f"the recordings give {crops.tracks} usable tracks; at least {FEWEST_TRACKS} are needed to learn from: "
            "give longer recordings"
        )


def crop_features(loaded: LoadedModel, crops: SiteCrops, *, device: torch.device, batch: int = 64) -> FloatArray:
    """Return (N, D) L2-normalised features of the crops, each with the SIE row of its camera's name in `loaded`."""
    model = loaded.model.to(device).eval()
    rows = torch.tensor([loaded.camera_names.index(name) for name in crops.camera_names])
    camera = rows[torch.from_numpy(crops.camera[crops.track])]
    parts = []
    with torch.inference_mode():
        for first in range(0, len(crops.images), batch):
            images = _images(loaded, crops, np.arange(first, min(first + batch, len(crops.images))), device)
            features = model(images, camera[first : first + batch].to(device))
            parts.append(functional.normalize(features.float(), dim=1).cpu().numpy())
    return np.concatenate(parts)


def site_means(features: FloatArray, crops: SiteCrops) -> FloatArray:
    """Return (C, D), the mean feature of each camera, every track counting the same; `features` (N, D) of the crops."""
    of_tracks = track_means(features, crops.track, crops.tracks)
    return camera_means(of_tracks, crops.camera, len(crops.camera_names))


def probable_people(features: FloatArray, crops: SiteCrops, *, margin: float) -> IntArray:
    """Return (T,) labels, equal for tracks that are probably one person; `features` (N, D) are those of the crops.

    Tracks of two cameras are joined if each is the other's nearest in its camera and for both the second nearest is
    further away by `margin`. Distances are cosine distances after centring. Pairs with the largest margin are joined
    first. Tracks that are certainly of two people never get the same label.
    """
    tracks = centred(track_means(features, crops.track, crops.tracks), site_means(features, crops)[crops.camera])
    similarity = tracks @ tracks.T
    pairs: list[tuple[float, int, int]] = []
    for first in range(len(crops.camera_names)):
        for second in range(first + 1, len(crops.camera_names)):
            rows, columns = np.flatnonzero(crops.camera == first), np.flatnonzero(crops.camera == second)
            if len(rows) < 2 or len(columns) < 2:
                continue
            block = similarity[np.ix_(rows, columns)]
            nearest, nearest_back = block.argmax(axis=1), block.argmax(axis=0)
            gap_there = _lead(block)
            gap_back = _lead(block.T)
            for row, column in enumerate(nearest.tolist()):
                gap = min(gap_there[row], gap_back[column])
                if nearest_back[column] == row and gap >= margin:
                    pairs.append((-float(gap), int(rows[row]), int(columns[column])))
    labels = np.arange(crops.tracks)
    exclusive = crops.exclusive
    for _, one, other in sorted(pairs):
        mine, theirs = labels == labels[one], labels == labels[other]
        if not exclusive[np.ix_(mine, theirs)].any():
            labels[theirs] = labels[one]
    return labels


def _lead(similarity: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return how far the highest value of each row is above the second highest."""
    ordered = np.partition(similarity, -2, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def _learn(
    loaded: LoadedModel,
    site: Site,
    crops: SiteCrops,
    labels: IntArray,
    settings: AdaptationSettings,
    number: int,
    device: torch.device,
    on_step: Callable[[int, int, float], None],
) -> Site:
    """Run round `number`: learn rows and norms of the site; `labels` (T,) are equal for tracks of one person."""
    adapted = with_site(loaded, site)
    model = adapted.model.to(device).eval().requires_grad_(False)
    own = [adapted.camera_names.index(name) for name in site.camera_names]
    camera = torch.tensor(own)[torch.from_numpy(crops.camera[crops.track])]
    rows = torch.from_numpy(site.rows).to(device).clone().requires_grad_(True)
    norms: dict[str, Tensor] = {}
    if settings.learn_norms:
        norms = {name: values.clone().requires_grad_(True) for name, values in layer_norms(model).items()}
    # (parameters, factor on the learning rate)
    learned = [([rows], 1.0), (list(norms.values()), settings.norm_learning_rate_factor)]
    optimizer = torch.optim.Adam([{"params": parameters} for parameters, _ in learned if parameters])
    crop_labels = labels[crops.track]
    sampler = PKSampler(
        crop_labels.tolist(),
        ids_per_batch=min(settings.tracks_per_batch, len(np.unique(labels))),
        crops_per_id=settings.crops_per_track,
        seed=settings.seed,
    )
    done, total = number * settings.steps_per_round, settings.rounds * settings.steps_per_round
    for step, batch in enumerate(_endless(sampler, number), start=done):
        if step == done + settings.steps_per_round:
            break
        chosen = np.array(batch)
        for group, (_, factor) in zip(optimizer.param_groups, learned, strict=False):
            group["lr"] = factor * settings.lr_at(step / total)
        images = _images(loaded, crops, chosen, device)
        features = _features_with_rows(model, images, rows, camera[chosen], own, norms)
        person = torch.from_numpy(crop_labels[chosen]).to(device)
        loss = supervised_contrastive_loss(features, person, settings.temperature)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        on_step(step + 1, total, float(loss.detach()))
    return replace(site, rows=_array(rows), norms={name: _array(values) for name, values in norms.items()})


def _array(values: Tensor) -> FloatArray:
    return values.detach().cpu().numpy().astype(np.float32)


def _endless(sampler: PKSampler, number: int) -> Iterator[list[int]]:
    """Yield batches of round `number` without end, from epochs that no other round uses."""
    for epoch in itertools.count(number * _EPOCHS_BETWEEN_ROUNDS):
        yield from sampler.batches(epoch)


def _features_with_rows(
    model: TransReID,
    images: Tensor,
    rows: Tensor,
    camera: Tensor,
    own: Sequence[int],
    norms: Mapping[str, Tensor],
) -> Tensor:
    """Return features (B, D) computed with the site's rows and norms, so that gradients reach them."""
    table = model.base.sie_embed.detach().clone()
    views = max(model.config.views, 1)
    index = torch.tensor([row * views + view for row in own for view in range(views)], device=table.device)
    table = table.index_copy(0, index, rows.repeat_interleave(views, dim=0)[:, None])
    result: Tensor = torch.func.functional_call(
        model, {"base.sie_embed": table, **norms}, (images, camera.to(images.device))
    )
    return result


def _images(loaded: LoadedModel, crops: SiteCrops, chosen: IntArray, device: torch.device) -> Tensor:
    images = torch.from_numpy(crops.images[chosen]).to(device)
    return normalise(images, loaded.input_mean, loaded.input_std, torch.float32)
