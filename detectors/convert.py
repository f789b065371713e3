"""Downloads and converts a .pt checkpoint: `python -m detectors.convert WEIGHTS [FOLDER IMAGE_SIZE_PX SHA256]`.

`detectors.conversion` starts it in a process of its own, because it needs torch and Ultralytics.
"""

from __future__ import annotations

import sys
from pathlib import Path

from detectors.weights import sha256
from pipeline.core.errors import RunError
from pipeline.core.own_process import reporting


def main() -> None:
    """Load the checkpoint, which checks it; with a folder also write its OpenVINO network there. Report its path."""
    reporting(_convert)


def _convert() -> str:
    from detectors.export import export_network
    from detectors.ultralytics_network import load_model

    weights, *target = sys.argv[1:]
    path = str(load_model(weights).ckpt_path)
    if target:
        folder, image_size_px, expected = target
        export_network(Path(path), Path(folder), format="openvino", image_size_px=int(image_size_px))
        if sha256(Path(path)) != expected:
            raise RunError(f"{weights} changed while it was converted: start again")
    return path


if __name__ == "__main__":
    main()
