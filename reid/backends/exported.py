"""Exported networks by path: which runtime a file belongs to, and its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import InputError
from reid.backends import onnx_model, openvino_model, tensorrt_engine
from reid.model_header import ModelHeader

SUFFIXES = (".onnx", ".xml", ".engine")


@dataclass(frozen=True)
class ExportedModel:
    """A network file of another runtime.

    Attributes:
        path: .onnx, .xml (with its .bin) or .engine.
        header: what the file says of itself.
    """

    path: Path
    header: ModelHeader


def is_export(path: Path) -> bool:
    """Whether the path looks like an exported network: by its suffix, or a folder."""
    return path.is_dir() or path.suffix in SUFFIXES


def load_export(path: Path) -> ExportedModel:
    """Open an exported network.

    Args:
        path: of the file, or of a folder with one .xml in it.

    Raises:
        InputError: it is missing, not readable, of something else, or its runtime is not installed.
    """
    if not path.exists():
        raise InputError(f"there is no weights file {path}")
    path = network_file(path)
    if path.suffix == ".xml":
        return ExportedModel(path, openvino_model.read_header(path))
    if path.suffix == ".onnx":
        return ExportedModel(path, onnx_model.read_header(path))
    if path.suffix == ".engine":
        return ExportedModel(path, tensorrt_engine.read_engine(path)[0])
    raise InputError(f"{path} is no exported network; those end in {', '.join(SUFFIXES)}")


def network_file(path: Path) -> Path:
    """The file of a network that may be named by its folder; InputError where a folder holds none, or several."""
    if not path.is_dir():
        return path
    networks = sorted(path.glob("*.xml"))
    if len(networks) != 1:
        raise InputError(f"{path} is a folder with {len(networks)} .xml files; an OpenVINO network is one")
    return networks[0]
