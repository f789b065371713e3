"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU if there is one.")]
