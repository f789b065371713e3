"""Options shared by several commands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline.config.config import EmbedderConfig
from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS, NetworkInput, parse_network_input
from reid.datasets import LAYOUTS

DataOption = Annotated[
    Path,
    typer.Option(
        help="Folder of crops named PPPP_cC_KK.jpg, or a data set in the layout of Market-1501, DukeMTMC-reID, "
        "CUHK03-NP, MSMT17, VeRi-776 or VehicleID."
    ),
]
LayoutOption = Annotated[
    str,
    typer.Option(
        help=f"Layout of that folder: auto, {', '.join(LAYOUTS)}; vehicleid:1600 for another of VehicleID's test lists."
    ),
]
InputOption = Annotated[
    str | None,
    typer.Option(
        "--input",
        help=f"Pixel format of a third-party network (.onnx, OpenVINO .xml): {', '.join(INPUT_PRESETS)}, or a "
        "mapping as in embedder.input; by default the configuration's embedder.input, if the configuration names the "
        "network.",
        metavar="INPUT",
    ),
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto uses a GPU if there is one.")]


def chosen_model(
    checkpoint: Path | None, text: str | None, configured: EmbedderConfig
) -> tuple[Path, NetworkInput | None]:
    """Return the file of the embedding model, and the input of a third-party network. Both come from --checkpoint and
    --input if they are given, otherwise from the configuration.

    Raises:
        InputError: there is no model, or `text` is not a valid input.
    """
    stated = None if text is None else parse_network_input("--input", text)
    if checkpoint is not None:
        return checkpoint, stated
    if configured.weights is None:
        raise InputError("embedder.weights is null: there is no model; give --checkpoint")
    return Path(configured.weights), stated or configured.input


def named_values(option: str, texts: Sequence[str] | None, names: Collection[str]) -> dict[str, str]:
    """Return the values of [NAME=]VALUE texts by name; a VALUE without NAME holds for all `names`.

    Raises:
        InputError: a NAME is not in `names`, or has two values.
    """
    values: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.rpartition("=")
        if equals and name not in names:
            known = ", ".join(name for name in names if name) or "no names: give --data NAME=FOLDER"
            raise InputError(f"{option} {text}: --data has {known}")
        for one in [name] if equals else names:
            if one in values:
                raise InputError(f"{option} {text}: a second value{f' of {one}' if one else ''}")
            values[one] = value
    return values


def named_folders(options: Sequence[str]) -> dict[str, Path]:
    """Return the folders of --data NAME=FOLDER by name; a folder without NAME has the name "".

    An existing folder is used as it is, even if there is a = in its path.

    Raises:
        InputError: two folders have the same name.
    """
    folders: dict[str, Path] = {}
    for option in options:
        name, equals, folder = ("", "", option) if Path(option).is_dir() else option.partition("=")
        if not equals:
            name, folder = "", option
        if name in folders:
            raise InputError(
                f"--data {option}: {f'{name} is given' if name else 'a folder without a name stands'} twice"
            )
        folders[name] = Path(folder)
    return folders
