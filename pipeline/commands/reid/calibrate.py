"""`mtmc reid calibrate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands.reid.arguments import (
    DeviceOption,
    InputOption,
    LayoutOption,
    chosen_model,
    named_folders,
    named_values,
)
from pipeline.commands.reid.calibration_plot import plot_distances
from pipeline.commands.reid.output_file import prepare_output
from pipeline.config.calibration import CARD_KEY, Calibration
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.network_input import NetworkInput
from pipeline.core.vectors import unit
from pipeline.cross_camera.match_threshold import (
    Distances,
    MatchThreshold,
    Views,
    centred_views,
    crop_distances,
    match_threshold_of_places,
    track_distances,
)
from pipeline.cross_camera.settings import LinkerSettings
from pipeline.files.json_file import write_json
from pipeline.files.tracklet_file import read_info, read_tracklets
from reid.backends.choose import EmbeddingModel, build_backend
from reid.backends.exported import is_export, network_file
from reid.checkpoints import LoadedModel, read_card, rewrite_card
from reid.datasets import CropSet, hold_out_identities, identities_digest, read_dataset
from reid.device import choose_device
from reid.embedding_model import embedding_hash, header_of, load_embedding_model, resize_of
from reid.evaluation.exported_features import exported_features
from reid.evaluation.features import extract_features
from reid.foreign_network import is_foreign, write_network_card
from reid.site.site import load_site, save_site
from reid.training.data import ONLY_SET
from reid.training.start import learned_identities
from reid.training.transforms import EvaluationTransform


def calibrate(
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Labelled crops of people that the model was not trained on; NAME=FOLDER, repeated, for several "
            "places, whose rates are averaged.",
            metavar="[NAME=]FOLDER",
        ),
    ] = None,
    left_out: Annotated[
        list[str] | None,
        typer.Option(
            help="Labelled crops of another place (repeatable), which does not affect the limits; their false match "
            "rate there is printed and stored.",
            metavar="NAME=FOLDER",
        ),
    ] = None,
    layout: LayoutOption = "auto",
    cameras: Annotated[
        list[str] | None,
        typer.Option(
            help="With --data: the crops of these cameras only, such as c1,c2; NAME=c1,c2 for one of several places.",
            metavar="[NAME=]NAMES",
        ),
    ] = None,
    tracklets: Annotated[
        list[Path] | None,
        typer.Option(help="Output folder of a run of track at the site (repeatable): no labels are needed."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="The model; the result is stored in its file, or in a card beside a third-party network. By default "
            "the configuration's embedder.weights is measured and left unchanged."
        ),
    ] = None,
    network_input: InputOption = None,
    site: Annotated[
        Path | None, typer.Option(help="With --tracklets: store the result in this site file.")
    ] = None,
    development_ids: Annotated[
        list[str] | None,
        typer.Option(
            help="With --data: number of identities that training held out; only these are used, from the training "
            "part. "
            "NAME=COUNT for one of several places.",
            metavar="[NAME=]COUNT",
        ),
    ] = None,
    false_match_rate: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Largest share of pairs of two people that may count as one person."),
    ] = 0.001,
    centred_false_match_rate: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.5,
            help="The same for tracks from which camera means were subtracted. This limit transfers better to other "
            "footage, so a higher rate is acceptable.",
        ),
    ] = 0.003,
    plot: Annotated[Path | None, typer.Option(help="Draw both histograms of distances (.png).")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Measure the match limits, up to which two embeddings count as one person, and store them for the pipeline.

    With labelled crops, genuine pairs show one person in two cameras. With tracks of a site, impostor pairs are people
    seen by one camera at the same time, and genuine pairs are the two halves of a track. The result is stored in the
    file of --checkpoint or --site; without either it is only shown. Settings `max_cosine_distance: calibrated` of the
    tracker, the linker and the second pass use the result.

    Example:

        mtmc reid calibrate --tracklets results --site site.safetensors --plot distances.png
    """
    if (not data) == (not tracklets):
        raise InputError("give either --data with labelled crops, or --tracklets with results of track")
    if left_out and not data:
        raise InputError("--left-out goes with --data: tracks of a site are one place")
    if site is not None and (data or checkpoint is not None):
        raise InputError(
            "a site file is calibrated with tracks of the site alone: give --site with --tracklets, without --data "
            "and --checkpoint"
        )
    prepare_output(plot, (".png", ".jpg", ".pdf", ".svg"))
    prepare_output(json_file)
    config = load_config()
    weights, stated = chosen_model(checkpoint, network_input, config.embedder)
    weights = network_file(weights)
    if checkpoint is not None and is_export(weights) and not is_foreign(weights):
        raise InputError(
            f"{weights} is an export: calibrate the .safetensors checkpoint that it was written from, and export it "
            "again"
        )
    if data:
        model = load_embedding_model(weights, stated)
        learned = learned_identities(model.card) if isinstance(model, LoadedModel) else {}
        learning, judging = named_folders(data), named_folders(left_out or ())
        if both := learning.keys() & judging.keys():
            raise InputError(f"--data and --left-out are both named {min(both)!r}")
        folders = {**learning, **judging}
        cameras_of = named_values("--cameras", cameras, folders)
        counts = named_values("--development-ids", development_ids, folders)
        views_of = {
            name: _labelled_views(
                model,
                _labelled_crops(
                    folder, layout, cameras_of.get(name), _count(counts.get(name)), learned.get(name, "")
                ),
                device,
            )
            for name, folder in folders.items()
        }
        places = {name: views_of[name] for name in learning}
        others = {name: views_of[name] for name in judging}
        source = f"labelled crops of {', '.join(name or folder.name for name, folder in learning.items())}"
    else:
        expected = None if checkpoint is None else embedding_hash(weights, stated)
        views = _site_views(tracklets or [], expected if site is None else load_site(site).embedding_hash)
        places, others = {ONLY_SET: views}, {}
        source = f"tracks of {len({view.camera for view in views})} cameras"
    track_pairs, centred_pairs, crop_pairs, centred_crop_pairs = (
        {name: distances(views, config.linker) for name, views in places.items()}
        for distances in (_tracks, _centred_tracks, _crops, _centred_crops)
    )
    for kind, pairs in (("two tracks", track_pairs), ("a crop and a track", crop_pairs)):
        for name, of_place in pairs.items():
            _require_pairs(kind, name, of_place)

    def limit(pairs: Mapping[str, _Pairs], distances: _Distances, rate: float) -> MatchThreshold:
        elsewhere = {name: distances(views, config.linker) for name, views in others.items()}
        return match_threshold_of_places(pairs, false_match_rate=rate, left_out=elsewhere)

    centred = limit(centred_pairs, _centred_tracks, centred_false_match_rate)
    calibration = Calibration(
        crop=limit(crop_pairs, _crops, false_match_rate),
        track=limit(track_pairs, _tracks, false_match_rate),
        centred_crop=limit(centred_crop_pairs, _centred_crops, false_match_rate),
        centred_track=centred,
        measured_on=f"{source}, false match rates {false_match_rate:g} and {centred_false_match_rate:g} (centred)",
    )
    console = Console()
    console.print(_table(calibration))
    if calibration.track.of_places or calibration.track.of_left_out:
        console.print(_table_of_places(calibration))
    for name, (_, impostor) in track_pairs.items():
        if len(impostor) * false_match_rate < 1:
            console.print(
                f"{len(impostor)} pairs of two people{_at(name)} are too few to measure a rate of "
                f"{false_match_rate:g}: the limit is below all of them. Give more recordings, or a larger "
                "--false-match-rate",
                style="yellow",
            )
    if plot is not None:
        kinds = {
            "two tracks": (track_pairs, calibration.track),
            "two tracks, cameras' means subtracted": (centred_pairs, centred),
            "crop and track": (crop_pairs, calibration.crop),
        }
        plot_distances(
            plot,
            {
                f"{kind}{_at(name)}": (*of_place, limit)
                for kind, (pairs, limit) in kinds.items()
                for name, of_place in pairs.items()
            },
        )
        console.print(f"Wrote {plot}")
    write_json(json_file, calibration.to_dict())
    if site is not None:
        known = load_site(site)
        save_site(site, replace(known, card={**known.card, CARD_KEY: calibration.to_dict()}))
    stored = site
    if checkpoint is not None:
        stored = _store(weights, stated, calibration)
    console.print(f"Stored in {stored}" if stored else "Not stored: name a file with --checkpoint or --site")


# With fewer pairs than this, a false match rate means nothing.
_FEWEST_PAIRS = 20

_Pairs = tuple[Distances, Distances]
_Distances = Callable[[Sequence[Views], LinkerSettings], _Pairs]


def _tracks(views: Sequence[Views], linker: LinkerSettings) -> _Pairs:
    return track_distances(
        views, features_per_track=linker.features_per_track, max_similarity=linker.feature_max_similarity
    )


def _centred_tracks(views: Sequence[Views], linker: LinkerSettings) -> _Pairs:
    return _tracks(centred_views(views), linker)


def _crops(views: Sequence[Views], linker: LinkerSettings) -> _Pairs:
    return crop_distances(views)


def _centred_crops(views: Sequence[Views], linker: LinkerSettings) -> _Pairs:
    return crop_distances(centred_views(views))


def _require_pairs(kind: str, place: str, pairs: _Pairs) -> None:
    for side, found in zip(("one person", "two people"), pairs, strict=True):
        if len(found) < _FEWEST_PAIRS:
            raise InputError(
                f"there are only {len(found)} pairs of {side}{_at(place)} for the limit of {kind}; at least "
                f"{_FEWEST_PAIRS} are needed: give more crops, or recordings with more people at a time"
            )


def _at(place: str) -> str:
    return f" at {place}" if place else ""


def _count(text: str | None) -> int:
    if text is not None and not text.isdigit():
        raise InputError(f"--development-ids {text}: expected a number of identities")
    return int(text or 0)


def _labelled_crops(data: Path, layout: str, cameras: str | None, development_ids: int, learned: str) -> CropSet:
    """Return crops of people who were not in the training; `learned` is the digest of those who were, "" if unknown."""
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
    rest, held_out = hold_out_identities(crops, development_ids)
    if learned and identities_digest(rest.person_ids) != learned:
        raise InputError(
            f"--development-ids {development_ids}: the checkpoint learned other people of {data} than the "
            f"{len(rest.person_ids)} that remain, so it may know some of those who are held out; give --cameras and "
            "--development-ids as they were in its training"
        )
    return held_out


def _labelled_views(model: EmbeddingModel, crops: CropSet, device: str) -> list[Views]:
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


def _store(weights: Path, stated: NetworkInput | None, calibration: Calibration) -> Path:
    """Store the calibration in the card of a checkpoint, or beside a third-party network; return the file."""
    if stated is not None and is_foreign(weights):
        return write_network_card(weights, stated, {CARD_KEY: calibration.to_dict()})
    _, card = read_card(weights)
    rewrite_card(weights, {**card, CARD_KEY: calibration.to_dict()})
    return weights


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
        found = [tracklet for tracklet in read_tracklets(path) if len(tracklet.embeddings) > 1]
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


def _rows(calibration: Calibration) -> dict[str, MatchThreshold]:
    limits = {
        "two tracks": calibration.track,
        "two tracks, cameras' means subtracted": calibration.centred_track,
        "a crop and a track": calibration.crop,
        "a crop and a track, cameras' means subtracted": calibration.centred_crop,
    }
    return {name: limit for name, limit in limits.items() if limit is not None}


def _table(calibration: Calibration) -> Table:
    table = Table(title="Match limits: one person up to a cosine distance")
    for column in ("of", "distance", "false matches", "missed matches", "equal error rate", "pairs"):
        table.add_column(column, justify="left" if column == "of" else "right")
    for name, limit in _rows(calibration).items():
        table.add_row(
            name,
            f"{limit.max_cosine_distance:.3f}",
            f"{limit.false_match_rate:.1%}",
            f"{limit.false_non_match_rate:.1%}",
            f"{limit.equal_error_rate:.1%}",
            f"{limit.genuine_pairs} / {limit.impostor_pairs}",
        )
    return table


def _table_of_places(calibration: Calibration) -> Table:
    """Return the false match rates, one row per place."""
    table = Table(title="False matches at each place")
    table.add_column("place", no_wrap=True)
    for name in _rows(calibration):
        table.add_column(name, justify="right")
    for place in calibration.track.of_places:
        table.add_row(place, *(f"{limit.of_places[place]:.2%}" for limit in _rows(calibration).values()))
    for place in calibration.track.of_left_out:
        rates = (f"{limit.of_left_out[place]:.2%}" for limit in _rows(calibration).values())
        table.add_row(f"{place or 'a place'}, left out", *rates)
    return table
