"""The project's own model files (checkpoints) without their model: header, hash and card, read without torch.

`reid.checkpoints` describes and writes the format, and loads the model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from pipeline.core.errors import InputError
from reid.model_header import ModelHeader
from reid.models.config import TransReIDConfig
from reid.safetensors_file import check_tensors, read_metadata

if TYPE_CHECKING:
    from reid.checkpoints import LoadedModel
    from reid.site.site import Site

#: Metadata key of the header.
OWN_FORMAT_KEY = "mtmc_transreid"
FORMAT_VERSION = 1

#: What wrong values in a header raise: of the wrong type, or sizes that no computer has.
WRONG_HEADER = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)


@dataclass(frozen=True, eq=False)
class CheckpointFile:
    """A checkpoint that is not loaded, possibly combined with a site file.

    Attributes:
        path: the .safetensors file.
        header: what is needed to use it; with a site, that of the combined model.
        config: sizes of the model without the site.
        site_path: file of the site; None without one.
    """

    path: Path
    header: ModelHeader
    config: TransReIDConfig
    site_path: Path | None = None

    def load(self) -> LoadedModel:
        """Load the model, which needs torch; raises InputError if the site does not fit it."""
        from reid.checkpoints import load_checkpoint
        from reid.site.site import load_site
        from reid.site.with_site import with_site

        loaded = load_checkpoint(self.path)
        return loaded if self.site_path is None else with_site(loaded, load_site(self.site_path))

    def at_site(self, path: Path, site: Site) -> CheckpointFile:
        """Return the checkpoint with the site's cameras, as `reid.site.with_site` adds them.

        Args:
            path: file of `site`.

        Raises:
            InputError: the site was learned for another model, or does not fit this one.
        """
        site.check_fits(self.header.model_hash, self.config)
        names = site.camera_names_with(self.header.camera_names)
        header = replace(
            self.header,
            model_hash=site.embedding_hash,
            cameras=len(names),
            camera_names=names,
            unknown_row=True,
        )
        return replace(self, header=header, site_path=path)


def open_checkpoint(path: Path) -> CheckpointFile:
    """Read all but the tensors of a checkpoint, and check these.

    Raises:
        InputError: the file is missing, damaged, or of another format.
    """
    header = read_header(path)
    try:
        config = config_of(header)
        return CheckpointFile(
            path,
            ModelHeader.of_config(
                config,
                model_hash=model_hash(path, header),
                camera_names=tuple(header["camera_names"]),
                view_names=tuple(header["view_names"]),
                input_mean=tuple(header["input_mean"]),
                input_std=tuple(header["input_std"]),
                card=dict(header["card"]),
            ),
            config,
        )
    except InputError:
        raise
    except WRONG_HEADER as error:
        raise InputError(f"{path} does not describe a model as this version expects it: {error}") from error


def read_card(path: Path) -> tuple[str, Mapping[str, Any]]:
    """Return the `model_hash` that `load_checkpoint` would give, and the card (data, training, results, calibration),
    without building the model.

    Raises:
        InputError: the file is missing or is not a checkpoint of this project.
    """
    header = read_header(path)
    card = header.get("card")
    if not isinstance(card, dict):
        raise InputError(f"{path} has damaged metadata: its card is no JSON object")
    return model_hash(path, header), card


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a checkpoint; InputError if the file is missing or is not one."""
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")
    check_suffix(path)
    metadata = read_metadata(path)
    if OWN_FORMAT_KEY not in metadata:
        raise InputError(
            f"{path} is not a checkpoint of this project: its metadata has no {OWN_FORMAT_KEY}; {_hint(path)}"
        )
    try:
        header = json.loads(metadata[OWN_FORMAT_KEY])
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} has damaged metadata: {error}") from error
    version = header.get("version") if isinstance(header, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(f"{path} has format version {version}, but this program reads version {FORMAT_VERSION}")
    return dict(header)


def config_of(header: Mapping[str, Any]) -> TransReIDConfig:
    """Return the configuration that a header states; raises WRONG_HEADER."""
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in header["config"].items()
    }
    return TransReIDConfig(**fields)


def model_hash(path: Path, header: Mapping[str, Any]) -> str:
    """Return the hash of a model; InputError if the tensors of the file are damaged."""
    digest = hashlib.sha256()
    relevant = {key: value for key, value in header.items() if key != "card"}
    digest.update(json.dumps(relevant, sort_keys=True).encode())
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in sorted(file.keys())}
            metadata = dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError(f"{path} is not a readable safetensors file: {error}") from error
    check_tensors(path, arrays, metadata)
    for key, array in arrays.items():
        digest.update(key.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def check_suffix(path: Path) -> None:
    """Raise InputError for a file of another format, with what to do."""
    if path.suffix != ".safetensors":
        raise InputError(
            f"{path} is not a checkpoint of this project, whose files end in .safetensors; {_hint(path)}"
        )


def _hint(path: Path) -> str:
    """Return what to do with a file that another project wrote."""
    own = (
        path.with_suffix(".safetensors") if path.suffix != ".safetensors" else path.with_stem(f"{path.stem}_mtmc")
    )
    return (
        f"convert an official TransReID file with 'mtmc reid convert {path} {own}'; use any other network as "
        ".onnx or OpenVINO .xml, with embedder.input"
    )
