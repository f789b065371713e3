"""Open exported networks by path: find the runtime of a file and read its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import InputError
from reid.backends import onnx_model, openvino_model
from reid.model_header import ModelHeader

SUFFIXES = (".onnx", ".xml", ".engine")


@dataclass(frozen=True)
class ExportedModel:
    """A network exported to a file of another runtime than torch.

    Attributes:
        path: .onnx, .xml (with its .bin) or .engine.
        header: the header that the file carries.
    """

    path: Path
    header: ModelHeader


def is_export(path: Path) -> bool:
    """Return whether the path looks like an exported network: it has the suffix of one, or is a folder."""
    return path.is_dir() or path.suffix in SUFFIXES


def load_export(path: Path) -> ExportedModel:
    """Open an exported network.

    Args:
        path: the file, or a folder with one .xml file in it.

    Raises:
        InputError: the file is missing, unreadable or no exported network, or its runtime is not installed.
    """
    if not path.exists():
        raise InputError(f"there is no weights file {path}")
    path = network_file(path)
    if path.suffix == ".xml":
        return ExportedModel(path, openvino_model.read_header(path))
    if path.suffix == ".onnx":
        return ExportedModel(path, onnx_model.read_header(path))
    if path.suffix == ".engine":
        from reid.backends.tensorrt_engine import read_engine

        return ExportedModel(path, read_engine(path)[0])
    raise InputError(f"{path} is not an exported network; those end in {', '.join(SUFFIXES)}")


def network_file(path: Path) -> Path:
    """Return the file of a network, which may be given by its folder. Raises InputError when the folder holds no
    network or several."""
    if not path.is_dir():
        return path
    networks = sorted(path.glob("*.xml"))
    if len(networks) != 1:
        raise InputError(
            f"{path} is a folder with {len(networks)} .xml files; an OpenVINO network has exactly one"
        )
    return networks[0]
