"""`mtmc reid evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from pipeline.commands.reid.arguments import DataOption, DeviceOption, InputOption, LayoutOption, chosen_model
from pipeline.commands.reid.output_file import PICTURE_SUFFIXES, prepare_output
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Computation, cpu_name
from pipeline.files.json_file import write_json
from reid.backends.choose import EmbeddingModel, build_backend
from reid.backends.exported import is_export, network_file
from reid.checkpoints import LoadedModel, load_checkpoint
from reid.datasets import CropSet, ReidDataset, camera_indices, read_dataset, read_rgb, view_indices
from reid.datasets.base import natural_order
from reid.device import choose_device, processor_name
from reid.embedding_model import header_of, load_embedding_model, resize_of
from reid.evaluation.attention_map import attention_maps, draw_attention
from reid.evaluation.exported_features import exported_features
from reid.evaluation.features import distinct_crops, embed_draws, extract_features
from reid.evaluation.peers import network_features, parse_peer
from reid.evaluation.ranked_list import draw_ranked_lists, evenly_spaced, ranked_lists
from reid.evaluation.reranking import KReciprocalDistance
from reid.evaluation.retrieval_report import (
    RetrievalReport,
    camera_means,
    camera_table,
    centred_features,
    overall_table,
    retrieval_report,
)
from reid.foreign_network import ForeignNetwork, with_means
from reid.model_header import ModelHeader
from reid.site.camera_rows import CameraRows, with_camera_rows
from reid.site.site import Site, load_site
from reid.site.with_site import with_site
from reid.training.transforms import EvaluationTransform


def evaluate(
    data: DataOption,
    layout: LayoutOption = "auto",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint of this project, an export of one, or a third-party network; by default the model that "
            "comes with the project."
        ),
    ] = None,
    network_input: InputOption = None,
    cameras: Annotated[
        str | None, typer.Option(help="Use the crops of these cameras only, such as c3,c4.", metavar="NAMES")
    ] = None,
    rows: Annotated[
        CameraRows,
        typer.Option(
            help="SIE row of each camera: the row of its own name, the row trained for unknown cameras, the mean of "
            "all rows, a wrong one (the next camera's), or none."
        ),
    ] = CameraRows.OWN,
    site: Annotated[
        Path | None,
        typer.Option(
            help="Site file of `adapt`: its cameras get their learned rows, and their camera means are subtracted if "
            "it has any.",
            metavar="FILE",
        ),
    ] = None,
    centre_cameras: Annotated[
        bool,
        typer.Option(
            "--centre-cameras", help="Subtract each camera's mean embedding before comparing; needs no labels."
        ),
    ] = False,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Also print the figures after k-reciprocal re-ranking.")
    ] = False,
    k1: Annotated[int, typer.Option(min=1, help="Re-ranking: number of neighbours that may be reciprocal.")] = 20,
    k2: Annotated[
        int, typer.Option(min=1, help="Re-ranking: number of crops over which encodings are averaged.")
    ] = 6,
    lambda_: Annotated[
        float, typer.Option("--lambda", min=0, max=1, help="Re-ranking: weight of the original distance.")
    ] = 0.3,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Another network (OpenVINO .xml or .onnx), measured on the same crops. INPUT as in --input. "
            "Repeatable.",
            metavar="NAME=FILE,INPUT",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.", metavar="FILE")
    ] = None,
    ranked_list_file: Annotated[
        Path | None,
        typer.Option(
            "--ranked-lists", help="Draw queries and their ranked matches to this file.", metavar="FILE.png"
        ),
    ] = None,
    ranked_count: Annotated[int, typer.Option(min=1, help="Queries in that picture.")] = 8,
    attention_file: Annotated[
        Path | None,
        typer.Option("--attention", help="Draw attention maps of the model to this file.", metavar="FILE.png"),
    ] = None,
    attention_count: Annotated[int, typer.Option(min=1, help="Crops in that picture.")] = 8,
    batch: Annotated[int, typer.Option(min=1, help="Crops per batch.")] = 64,
    half: Annotated[
        bool,
        typer.Option(
            "--half",
            help="Run exports, and third-party networks of --checkpoint, in half precision if the processor can, as "
            "the pipeline does; without --half, they run in 32 bit.",
        ),
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Measure mAP, CMC and mINP: every query is searched among the crops of other cameras.

    Figures are given for all crops, for the queries of each camera in each other camera, and, as the mean of both
    directions, for every pair of cameras. In a folder without queries, every crop is a query once.

    Example:

        mtmc reid evaluate --data crops --rerank --json figures.json --ranked-lists found.png
    """
    peers = [parse_peer(text) for text in peer or ()]
    path, stated = chosen_model(checkpoint, network_input, load_config().embedder)
    path = network_file(path)
    names = [path.stem, *(other.name for other in peers)]
    if len(set(names)) < len(names):
        raise InputError(f"--peer: every model needs a name of its own, but they are {', '.join(names)}")
    for file in (ranked_list_file, attention_file):
        prepare_output(file, PICTURE_SUFFIXES)
    prepare_output(json_file)
    dataset = read_dataset(data, layout)
    draws = _draws(dataset, cameras, data)
    shown = sorted({name for draw in draws for part in draw for name in part.cameras}, key=natural_order)
    if is_export(path):
        network = load_embedding_model(path, stated)
        _check_options(path, rows, site, attention_file, takes_site=isinstance(network, ForeignNetwork))
        model = _export(network, None if site is None else load_site(site), shown, batch, half, device)
    else:
        if half or stated is not None:
            raise InputError(f"--half and --input are for .onnx, .xml and .engine, not for {path}: leave them out")
        known_site = None if site is None else load_site(site)
        loaded, chosen = _load(path, rows, known_site, shown), choose_device(device)
        model = _checkpoint(loaded, rows, known_site, shown, batch, chosen)

    console = Console(markup=False)
    for note in (*dataset.notes, *model.notes, f"{path.name} is computed by {model.computation}."):
        console.print(note)
    if peers:
        console.print(f"Other networks are computed by OpenVINO, fp32 on CPU ({cpu_name()}).")
    embedders = {path.stem: model.embed}
    for other in peers:
        embedders[other.name] = partial(
            network_features, other.path, pixels=other.input, description=f"{other.name} on the CPU"
        )
    reranking = KReciprocalDistance(k1=k1, k2=k2, original_weight=lambda_) if rerank else None
    reports: dict[str, RetrievalReport] = {}
    reranked: dict[str, RetrievalReport] = {}
    for name, embed in embedders.items():
        means = None if centre_cameras else model.site_means if name == path.stem else {}
        features = embed_draws(draws, partial(_centred, embed=embed, means=means))
        reports[name] = retrieval_report(features)
        if reranking is not None:
            reranked[name] = retrieval_report(features, reranking)
        if name == path.stem and ranked_list_file is not None:
            lists = ranked_lists(*features[0], count=ranked_count)
            _save(draw_ranked_lists(lists, *draws[0]), ranked_list_file, console)

    crops = distinct_crops(draws)
    people = crops.of_persons({crop.person_id for query, _ in draws for crop in query.crops})
    distractors = len(crops) - len(people)
    counts = f"{len(people)} crops of {len(people.person_ids)} people{_and_distractors(distractors)}"
    _print_tables(console, reports, reranked, f"{data}: {counts}, cameras {', '.join(shown)}, rows: {rows}")
    if attention_file is not None:
        some = CropSet(
            tuple(draws[0][0].crops[i] for i in evenly_spaced(range(len(draws[0][0])), attention_count))
        )
        _save(_attention_picture(loaded, some, chosen), attention_file, console)

    write_json(
        json_file,
        {
            "data": str(data),
            "crops": len(crops),
            "people": len(people.person_ids),
            "distractors": distractors,
            "cameras": shown,
            "checkpoint": path.name,
            "model_hash": model.embedding_hash,
            "computation": asdict(model.computation),
            "rows": str(rows),
            "site": None if site is None else site.name,
            "centred_cameras": centre_cameras,
            **_figures(path.stem, reports, reranked),
            "peers": {other.name: _figures(other.name, reports, reranked) for other in peers},
        },
    )


def _print_tables(
    console: Console, reports: Mapping[str, RetrievalReport], reranked: Mapping[str, RetrievalReport], title: str
) -> None:
    again = {f"{name}, re-ranked": report for name, report in reranked.items()}
    console.print(overall_table({**reports, **again}, title))
    if any(report.between_cameras.directions for report in reports.values()):
        console.print(camera_table(reports, "between cameras: rank-1 / mAP"))
        if reranked:
            console.print(camera_table(reranked, "between cameras, re-ranked: rank-1 / mAP"))


def _and_distractors(count: int) -> str:
    return f" and {count} of distractors" if count else ""


@dataclass(frozen=True)
class _Model:
    """The model to measure.

    Attributes:
        embed: returns the embeddings (N, D) of crops.
        notes: for the user, on the rows of the cameras.
        site_means: of a site file, camera -> (D,).
    """

    embed: Callable[[CropSet], NDArray[Any]]
    computation: Computation
    embedding_hash: str
    notes: list[str]
    site_means: Mapping[str, NDArray[np.float32]]


def _export(
    network: EmbeddingModel, site: Site | None, cameras: Sequence[str], batch: int, half: bool, device: str
) -> _Model:
    if isinstance(network, ForeignNetwork) and site is not None:
        network = with_means(network, site)
    backend = build_backend(network, device=device, half="auto" if half else False)
    header = header_of(network)
    return _Model(
        embed=partial(exported_features, backend, header, batch_size=batch, resize=resize_of(network)),
        computation=backend.computation,
        embedding_hash=header.embedding_hash,
        notes=_export_notes(header, cameras),
        site_means={} if site is None else site.camera_means,
    )


def _checkpoint(
    loaded: LoadedModel,
    rows: CameraRows,
    site: Site | None,
    cameras: Sequence[str],
    batch: int,
    device: torch.device,
) -> _Model:
    loaded.model.to(device)
    return _Model(
        embed=partial(_model_features, loaded, batch=batch, device=device),
        computation=Computation("torch", "fp32", str(device), processor_name(device)),
        embedding_hash=loaded.model_hash,
        notes=_notes(loaded, rows, site, cameras),
        site_means={} if site is None else site.camera_means,
    )


def _figures(
    name: str, reports: Mapping[str, RetrievalReport], reranked: Mapping[str, RetrievalReport]
) -> dict[str, Any]:
    again = {"reranked": reranked[name].to_dict()} if name in reranked else {}
    return reports[name].to_dict() | again


def _load(path: Path, rows: CameraRows, site: Site | None, cameras: Sequence[str]) -> LoadedModel:
    """Return the model with the requested rows for `cameras`."""
    loaded = load_checkpoint(path)
    if site is None:
        return with_camera_rows(loaded, rows, cameras)
    if rows is not CameraRows.OWN:
        raise InputError(f"--site gives cameras rows of their own: leave out --rows {rows}")
    return with_site(loaded, site)


def _check_options(
    path: Path, rows: CameraRows, site: Path | None, attention_file: Path | None, *, takes_site: bool
) -> None:
    """Raise InputError for options that only a checkpoint can fulfil."""
    for option, given in (
        (f"--rows {rows}", rows is not CameraRows.OWN),
        ("--site", site is not None and not takes_site),
        ("--attention", attention_file is not None),
    ):
        if given:
            raise InputError(f"{option} needs the .safetensors checkpoint, but {path} is an export: leave one out")


def _export_notes(header: ModelHeader, cameras: Sequence[str]) -> list[str]:
    """Return notes on the rows that an exported network uses."""
    notes = ["The viewpoint of every crop is taken as unknown."] if header.views > 1 else []
    strangers = [name for name in cameras if name not in header.camera_names]
    if header.cameras and strangers:
        rows = "the row for unknown cameras" if header.unknown_row else "the mean of the camera rows"
        notes.append(f"The network has no row for {', '.join(strangers)}: their crops get {rows}.")
    return notes


def _notes(loaded: LoadedModel, rows: CameraRows, site: Site | None, cameras: Sequence[str]) -> list[str]:
    """Return notes on the row of each camera; none unless rows are chosen by name."""
    if rows is not CameraRows.OWN or not loaded.camera_names:
        return []
    of_site = [name for name in cameras if site is not None and name in site.camera_names]
    trained = [name for name in cameras if name in loaded.camera_names and name not in of_site]
    strangers = [name for name in cameras if name not in loaded.camera_names]
    notes = []
    if of_site:
        notes.append(f"Rows of the site file: {', '.join(of_site)}.")
    if trained:
        otherwise = CameraRows.UNKNOWN if loaded.model.config.unknown_row else CameraRows.MEAN
        notes.append(
            f"Trained rows, by name: {', '.join(trained)}. The same name does not mean the same camera: unless these "
            f"are cameras of the training data, measure with --rows {otherwise}."
        )
    if strangers:
        notes.append(f"No row for {', '.join(strangers)}: their crops are taken as those of unknown cameras.")
    return notes


def _draws(dataset: ReidDataset, cameras: str | None, data: Path) -> list[tuple[CropSet, CropSet]]:
    """Return query and gallery of each repetition of the protocol, restricted to the named cameras."""
    draws = list(dataset.draws) or [(dataset.query, dataset.gallery)]
    if cameras is None:
        return draws
    wanted = cameras.split(",")
    present = {name for draw in draws for part in draw for name in part.cameras}
    if missing := [name for name in wanted if name not in present]:
        raise InputError(
            f"--cameras {cameras}: {data} has no camera {missing[0]!r}; it has "
            f"{', '.join(sorted(present, key=natural_order))}"
        )
    restricted = []
    for query, gallery in draws:
        asked = query.of_cameras(wanted)
        restricted.append((asked, asked if gallery is query else gallery.of_cameras(wanted)))
    return restricted


def _model_features(
    loaded: LoadedModel, crops: CropSet, *, batch: int, device: torch.device
) -> NDArray[np.float32]:
    return extract_features(
        loaded.model,
        crops,
        _transform(loaded),
        cameras=loaded.camera_names,
        views=loaded.view_names,
        device=device,
        batch_size=batch,
    ).features


def _centred(
    crops: CropSet,
    *,
    embed: Callable[[CropSet], NDArray[Any]],
    means: Mapping[str, NDArray[np.float32]] | None,
) -> NDArray[np.float32]:
    """Return features minus `means`, or minus the mean of their own camera if `means` is None."""
    features = embed(crops)
    return centred_features(crops, features, camera_means(crops, features) if means is None else means)


def _transform(loaded: LoadedModel) -> EvaluationTransform:
    return EvaluationTransform(loaded.model.config.image_size, loaded.input_mean, loaded.input_std)


def _attention_picture(loaded: LoadedModel, crops: CropSet, device: torch.device) -> Image.Image:
    images = [read_rgb(crop.path) for crop in crops.crops]
    transform = _transform(loaded)
    maps = attention_maps(
        loaded.model,
        torch.stack([transform(image) for image in images]).to(device),
        torch.tensor(camera_indices(crops, loaded.camera_names), device=device),
        torch.tensor(view_indices(crops, loaded.view_names), device=device),
    )
    return draw_attention(loaded.model, images, maps)


def _save(picture: Image.Image, path: Path, console: Console) -> None:
    try:
        picture.save(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from error
    console.print(f"Wrote {path}")
