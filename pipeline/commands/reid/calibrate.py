"""`mtmc reid calibrate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands.reid.arguments import (
    DeviceOption,
    InputOption,
    LayoutOption,
    chosen_model,
)
from pipeline.commands.reid.calibration_plot import plot_distances
from pipeline.commands.reid.calibration_views import views_of_places, views_of_site
from pipeline.commands.reid.output_file import prepare_output
from pipeline.config.calibration import CARD_KEY, Calibration
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.network_input import NetworkInput
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
from reid.backends.exported import is_export, network_file
from reid.checkpoint_file import read_card
from reid.checkpoints import rewrite_card
from reid.embedding_model import embedding_hash
from reid.foreign_network import is_foreign, write_network_card
from reid.site.site import load_site, save_site


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
        typer.Option(
            help="Output folder of a run of track at the site (repeatable): no labels are needed. People who were "
            "confirmed in mtmc review are used."
        ),
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
    seen by one camera at the same time, and genuine pairs are the two halves of a track. If people were confirmed in
    `mtmc review`, their tracks are pairs of one person, and any two of these people are an impostor pair. The result is
    stored in the file of --checkpoint or --site; without either it is only shown. Settings `max_cosine_distance:
    calibrated` of the tracker, the linker and the second pass use the result.

    Example:

        mtmc reid calibrate --tracklets results --site site.safetensors --plot distances.png
    """
    _check_options(data, left_out, tracklets, checkpoint, site)
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
        views = views_of_places(data, left_out or [], weights, stated, layout, cameras, development_ids, device)
    else:
        expected = None if checkpoint is None else embedding_hash(weights, stated)
        views = views_of_site(tracklets or [], expected if site is None else load_site(site).embedding_hash)
    pairs = _measured(views.places, config.linker, views.halves_below)
    for name, of_place in pairs["track"].items():
        _require_pairs("two tracks", name, of_place)
        _require_pairs("a crop and a track", name, pairs["crop"][name])
    calibration = _calibration(
        pairs,
        _measured(views.left_out, config.linker, views.halves_below),
        {kind: centred_false_match_rate if kind == "centred_track" else false_match_rate for kind in _KINDS},
        f"{views.source}, false match rates {false_match_rate:g} and {centred_false_match_rate:g} (centred)",
    )
    console = Console(markup=False)
    console.print(_table(calibration))
    if calibration.track.of_places or calibration.track.of_left_out:
        console.print(_table_of_places(calibration))
    for sentence in views.sentences:
        console.print(sentence)
    for sentence in _too_few(pairs["track"], false_match_rate):
        console.print(sentence, style="yellow")
    if plot is not None:
        _plot(plot, pairs, calibration)
        console.print(f"Wrote {plot}")
    write_json(json_file, calibration.to_dict())
    if site is not None:
        known = load_site(site)
        save_site(site, replace(known, card={**known.card, CARD_KEY: calibration.to_dict()}))
    stored = site
    if checkpoint is not None:
        stored = _store(weights, stated, calibration)
    console.print(f"Stored in {stored}" if stored else "Not stored: name a file with --checkpoint or --site")


_Pairs = tuple[Distances, Distances]


def _check_options(
    data: Sequence[str] | None,
    left_out: Sequence[str] | None,
    tracklets: Sequence[Path] | None,
    checkpoint: Path | None,
    site: Path | None,
) -> None:
    if (not data) == (not tracklets):
        raise InputError("give either --data with labelled crops, or --tracklets with results of track")
    if left_out and not data:
        raise InputError("--left-out goes with --data: tracks of a site are one place")
    if site is not None and (data or checkpoint is not None):
        raise InputError(
            "a site file is calibrated with tracks of the site alone: give --site with --tracklets, without --data "
            "and --checkpoint"
        )


def _measured(
    places: Mapping[str, Sequence[Views]], linker: LinkerSettings, halves_below: int
) -> dict[str, dict[str, _Pairs]]:
    """Return the distances of genuine and impostor pairs of each kind at each place."""
    return {
        kind: {name: distances(views, linker, halves_below) for name, views in places.items()}
        for kind, distances in _KINDS.items()
    }


def _calibration(
    pairs: Mapping[str, Mapping[str, _Pairs]],
    left_out: Mapping[str, Mapping[str, _Pairs]],
    rates: Mapping[str, float],
    measured_on: str,
) -> Calibration:
    limits = {
        kind: match_threshold_of_places(pairs[kind], false_match_rate=rates[kind], left_out=left_out[kind])
        for kind in _KINDS
    }
    return Calibration(measured_on=measured_on, **limits)


def _plot(path: Path, pairs: Mapping[str, Mapping[str, _Pairs]], calibration: Calibration) -> None:
    shown = {
        "two tracks": ("track", calibration.track),
        "two tracks, cameras' means subtracted": ("centred_track", calibration.centred_track),
        "crop and track": ("crop", calibration.crop),
    }
    plot_distances(
        path,
        {
            f"{title}{_at(name)}": (*of_place, limit)
            for title, (kind, limit) in shown.items()
            if limit is not None
            for name, of_place in pairs[kind].items()
        },
    )


# With fewer pairs than this, a false match rate means nothing.
_FEWEST_PAIRS = 20


def _tracks(views: Sequence[Views], linker: LinkerSettings, halves_below: int) -> _Pairs:
    return track_distances(
        views,
        features_per_track=linker.features_per_track,
        max_similarity=linker.feature_max_similarity,
        halves_below=halves_below,
    )


def _centred_tracks(views: Sequence[Views], linker: LinkerSettings, halves_below: int) -> _Pairs:
    return _tracks(centred_views(views), linker, halves_below)


def _crops(views: Sequence[Views], _linker: LinkerSettings, _halves_below: int) -> _Pairs:
    return crop_distances(views)


def _centred_crops(views: Sequence[Views], _linker: LinkerSettings, _halves_below: int) -> _Pairs:
    return crop_distances(centred_views(views))


# Fields of `Calibration`, and how the distances of each are measured.
_KINDS: dict[str, Callable[[Sequence[Views], LinkerSettings, int], _Pairs]] = {
    "crop": _crops,
    "track": _tracks,
    "centred_crop": _centred_crops,
    "centred_track": _centred_tracks,
}


def _require_pairs(kind: str, place: str, pairs: _Pairs) -> None:
    for side, found in zip(("one person", "two people"), pairs, strict=True):
        if len(found) < _FEWEST_PAIRS:
            raise InputError(
                f"there are only {len(found)} pairs of {side}{_at(place)} for the limit of {kind}; at least "
                f"{_FEWEST_PAIRS} are needed: give more crops, or recordings with more people at a time"
            )


def _too_few(pairs: Mapping[str, _Pairs], false_match_rate: float) -> list[str]:
    """Return a sentence for each place with too few pairs of two people for the rate."""
    return [
        f"{len(impostor)} pairs of two people{_at(name)} are too few to measure a rate of {false_match_rate:g}: the "
        "limit is below all of them. Give more recordings, or a larger --false-match-rate"
        for name, (_, impostor) in pairs.items()
        if len(impostor) * false_match_rate < 1
    ]


def _at(place: str) -> str:
    return f" at {place}" if place else ""


def _store(weights: Path, stated: NetworkInput | None, calibration: Calibration) -> Path:
    """Store the calibration in the card of a checkpoint, or beside a third-party network; return the file."""
    if stated is not None and is_foreign(weights):
        return write_network_card(weights, stated, {CARD_KEY: calibration.to_dict()})
    _, card = read_card(weights)
    rewrite_card(weights, {**card, CARD_KEY: calibration.to_dict()})
    return weights


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
