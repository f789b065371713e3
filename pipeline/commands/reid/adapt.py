"""`mtmc reid adapt`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline.commands.reid.arguments import DeviceOption, InputOption, LayoutOption, chosen_model
from pipeline.commands.reid.output_file import prepare_output
from pipeline.commands.track import track_with_progress
from pipeline.config.config import CameraConfig, Config, load_config, named_sources
from pipeline.core.errors import InputError
from pipeline.core.network_input import parse_network_input
from pipeline.recorded.tracklet_crops import CropChoice, tracklet_crops
from reid.backends.choose import build_backend
from reid.backends.exported import ExportedModel
from reid.checkpoints import LoadedModel
from reid.crops import Resize
from reid.device import choose_device
from reid.embedding_model import header_of, load_embedding_model, resize_of
from reid.foreign_network import ForeignNetwork
from reid.loss_progress import loss_progress
from reid.site.adaptation import AdaptationSettings, measure_means
from reid.site.adaptation import adapt as learn_site
from reid.site.labelled_tracks import labelled_tracks
from reid.site.site import Site, save_site
from reid.site.site_crops import SiteCrops

_DEFAULTS = AdaptationSettings()


def adapt(
    output: Annotated[Path, typer.Option("--output", "-o", help="Site file to write (.safetensors).")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration of the site, as for track.")
    ] = None,
    videos: Annotated[
        list[str] | None,
        typer.Option("--videos", help="cam=FILE: a recording to learn from, in place of the camera's own source."),
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            help="Learn from a folder of crops instead. A person's crops count as one track per camera; cameras are "
            "not linked."
        ),
    ] = None,
    layout: LayoutOption = "auto",
    cameras: Annotated[
        str | None, typer.Option(help="With --crops: use these cameras only, such as c3,c4.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint to adapt, or a third-party network, for which only camera means are measured; by default "
            "the configuration's embedder.weights."
        ),
    ] = None,
    network_input: InputOption = None,
    rounds: Annotated[
        int,
        typer.Option(
            min=0,
            help=f"Also learn SIE rows, in this number of rounds of {_DEFAULTS.steps_per_round} batches; 3 are enough. "
            "With 0, only the camera means are measured.",
        ),
    ] = _DEFAULTS.rounds,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of Adam.")] = _DEFAULTS.learning_rate,
    means: Annotated[
        bool, typer.Option(help="Store the camera means, which are then subtracted.")
    ] = _DEFAULTS.subtract_means,
    norms: Annotated[
        bool,
        typer.Option(
            "--norms",
            help="With --rounds: also learn weights and biases of the layer norms, shared by all cameras of the site.",
        ),
    ] = _DEFAULTS.learn_norms,
    crops_per_track: Annotated[int, typer.Option(min=2, help="Crops per track of a recording.")] = (
        CropChoice.crops_per_track
    ),
    seed: Annotated[int, typer.Option(help="Seed for the order of the crops.")] = _DEFAULTS.seed,
    device: DeviceOption = "auto",
) -> None:
    """Measure the camera means of a site from its own recordings, without labels.

    The recordings are tracked and good crops of every track are cut out. The mean embedding of each camera's tracks is
    stored; the pipeline subtracts it, which removes what all crops of the camera share.
    With --rounds, the command also learns one SIE row per camera, so that crops of the same person get similar
    embeddings: crops of one track, and of tracks in two cameras that certainly show one person. This costs much time
    and gains little on top of the means. The network file does not change; what --norms learns is stored in the site
    file. A third-party network has no side information: only its camera means are measured.
    The pipeline loads the result through `embedder.site`.

    Example:

        mtmc reid adapt --config site.yaml --videos hall=monday.mp4 --output site.safetensors
    """
    console = Console(markup=False)
    site_config = _site_config(config, videos or [], checkpoint, network_input)
    weights, stated = chosen_model(None, None, site_config.embedder)
    model = load_embedding_model(weights, stated)
    if isinstance(model, ExportedModel):
        raise InputError(f"{weights} is an export: adapt the .safetensors checkpoint that it was written from")
    if isinstance(model, ForeignNetwork) and (norms or not means):
        raise InputError(
            f"{weights} is a third-party network, for which camera means alone can be learned: leave out --norms "
            "and --no-means"
        )
    if isinstance(model, LoadedModel) and rounds == 0 and norms:
        raise InputError("--norms learns together with the SIE rows: add --rounds 3, or leave out --norms")
    if isinstance(model, LoadedModel) and rounds == 0 and not means:
        raise InputError(
            "--no-means leaves nothing to learn: add --rounds 3 for rows alone, or leave out --no-means"
        )
    size_hw, resize = header_of(model).image_size, resize_of(model)
    prepare_output(output)
    if crops is not None:
        site_crops = labelled_tracks(
            crops,
            cameras=cameras.split(",") if cameras else None,
            size_hw=size_hw,
            layout=layout,
            resize=resize,
        )
    else:
        site_crops = _recorded(site_config, size_hw, crops_per_track, resize, console)
    console.print(
        f"{len(site_crops.images)} crops of {site_crops.tracks} tracks in "
        f"{len(site_crops.camera_names)} cameras ({', '.join(site_crops.camera_names)})"
    )
    if isinstance(model, ForeignNetwork):
        console.print(f"{weights.name} has no side information to learn: only the camera means are stored.")
        site = measure_means(model, build_backend(model, device=device, half=False), site_crops)
    else:
        settings = AdaptationSettings(
            rounds=rounds, learning_rate=learning_rate, learn_norms=norms, subtract_means=means, seed=seed
        )
        site = _learned(model, site_crops, settings, device, console)
    save_site(output, site)
    console.print(f"Wrote {output}")


def _learned(
    loaded: LoadedModel, crops: SiteCrops, settings: AdaptationSettings, device: str, console: Console
) -> Site:
    """Run `learn_site` with a progress bar."""
    with loss_progress("learning", console) as progress:
        task = progress.add_task("", total=None, loss=0.0)

        def on_step(done: int, total: int, loss: float) -> None:
            progress.update(task, completed=done, total=total, loss=loss)

        return learn_site(loaded, crops, settings, device=choose_device(device), on_step=on_step)


def _site_config(
    path: Path | None, videos: Sequence[str], checkpoint: Path | None, network_input: str | None
) -> Config:
    """Return the configuration of the site, with the model and the recordings to learn from."""
    embedder: dict[str, Any] = {"site": None}
    if checkpoint is not None:
        embedder |= {"weights": str(checkpoint), "input": None}
    if network_input is not None:
        embedder["input"] = parse_network_input("--input", network_input).model_dump()
    config = load_config(path, {"embedder": embedder})
    if not videos:
        return config
    named = {camera["name"]: camera["source"] for camera in named_sources(videos)}
    known = {camera.name: camera for camera in config.cameras}
    if not known:
        cameras = [CameraConfig(name=name, source=source) for name, source in named.items()]
    elif strange := sorted(set(named) - set(known)):
        raise InputError(f"--videos names {strange[0]!r}; the cameras of {path} are {', '.join(known)}")
    else:
        cameras = [known[name].model_copy(update={"source": source}) for name, source in named.items()]
    return config.model_copy(update={"cameras": cameras})


def _recorded(
    config: Config, size_hw: tuple[int, int], crops_per_track: int, resize: Resize, console: Console
) -> SiteCrops:
    """Return crops of the tracks that the pipeline finds in the recordings of the site."""
    with tempfile.TemporaryDirectory() as folder:
        track_with_progress(config, Path(folder), {}, True, console)
        return tracklet_crops(
            config,
            Path(folder),
            size_hw=size_hw,
            choice=CropChoice(crops_per_track=crops_per_track),
            resize=resize,
        )
