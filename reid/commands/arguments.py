"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[
    Path,
    typer.Option(
        help="Folder of crops named PPPP_cC_KK.jpg, or a data set in the layout of Market-1501, DukeMTMC-reID, "
        "CUHK03-NP, MSMT17, VeRi-776 or VehicleID."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU if there is one.")]
