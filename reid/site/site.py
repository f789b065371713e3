"""Site files: small files about the cameras of one site for one model, learned without labels.

A site has an SIE row for each of its cameras. Optionally it has the mean of each camera, which is subtracted before
features are compared, and its own layer norms. `mtmc reid adapt` writes the file; the pipeline loads it with the
checkpoint (`embedder.site`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from pipeline.core.datatypes import FloatArray, check_array
from pipeline.core.errors import InputError
from reid.models.config import TransReIDConfig
from reid.safetensors_file import check_tensors, write_safetensors

SITE_FORMAT_KEY = "mtmc_site"
FORMAT_VERSION = 1
NORMS_FORMAT_VERSION = 2  # for files with norms, which a program that knows only version 1 would silently ignore
_NORM_PREFIX = "norms."  # of tensor names in the file


@dataclass(frozen=True, eq=False)
class Site:
    """The data of a site's cameras for one model.

    Attributes:
        model_hash: hash of the weights file that the site was learned for; it fits no other.
        camera_names: C names, as in the pipeline's configuration.
        rows: (C, W) float32, the SIE row of each camera; W is the width of the model's tokens, or 0 for a
            third-party network, which has no side information.
        means: (C, D) float32, each camera's mean L2-normalised feature, computed with its row; None for no
            centring.
        norms: replacements for weights and biases of the model's layer norms, shared by all cameras: parameter
            name -> (W,) float32; empty to keep the model's own.
        card: anything that JSON can hold: how the site was learned, calibration.
    """

    model_hash: str
    camera_names: tuple[str, ...]
    rows: FloatArray
    means: FloatArray | None = None
    norms: Mapping[str, FloatArray] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.camera_names)
        if not count or len(set(self.camera_names)) != count:
            raise ValueError(f"Site.camera_names must be different names, but they are {self.camera_names}")
        check_array("Site", "rows", self.rows, (count, None), np.float32)
        if self.means is not None:
            check_array("Site", "means", self.means, (count, None), np.float32)
        for name, values in self.norms.items():
            check_array("Site", f"norms[{name}]", values, (None,), np.float32)
        for name, array in {"rows": self.rows, "means": self.means, **self.norms}.items():
            if array is not None and not np.isfinite(array).all():
                raise ValueError(f"Site.{name} has values that are not finite numbers")

    @property
    def site_hash(self) -> str:
        """16 hex digits for everything that changes the embeddings: names, rows, means and norms."""
        digest = hashlib.sha256(json.dumps(list(self.camera_names)).encode())
        for array in (self.rows, self.means):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        for name, values in sorted(self.norms.items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]

    @property
    def embedding_hash(self) -> str:
        """Hash of the model and the site together: embeddings with and without the site cannot be compared."""
        return f"{self.model_hash}+{self.site_hash}"

    def rows_of(
        self, wanted: Mapping[str, str | int | None], model_cameras: Sequence[str]
    ) -> dict[str, str | int | None]:
        """Return the row of `with_site`'s table that each camera of the pipeline uses.

        Args:
            wanted: camera -> requested row of the model's own table, by name or number, or None.
            model_cameras: names of that table's rows.

        Returns:
            For each camera the requested name, else the camera's own name if the site has it, else None.
        """
        rows: dict[str, str | int | None] = {}
        for camera, row in wanted.items():
            if isinstance(row, int) and 0 <= row < len(model_cameras):
                row = model_cameras[row]
            rows[camera] = camera if row is None and camera in self.camera_names else row
        return rows

    def camera_names_with(self, model_cameras: Sequence[str]) -> tuple[str, ...]:
        """Return the names of `with_site`'s table: those of the model that the site does not replace, then its own."""
        return (*(name for name in model_cameras if name not in self.camera_names), *self.camera_names)

    def check_fits(self, model_hash: str, config: TransReIDConfig) -> None:
        """Raise InputError if the site was learned for another model than this one, or has values of other sizes."""
        if self.model_hash != model_hash:
            raise InputError(
                f"the site file was learned for the model {self.model_hash}, but the weights are {model_hash}: "
                "adapt again with these weights, or use no site file"
            )
        if self.rows.shape[1] != config.width:
            raise InputError(
                f"the site's rows have {self.rows.shape[1]} values, but the model's have {config.width}"
            )
        if self.means is not None and self.means.shape[1] != config.feature_dim:
            raise InputError(
                f"the site's means have {self.means.shape[1]} values, but the model's features {config.feature_dim}"
            )

    @property
    def camera_means(self) -> dict[str, FloatArray]:
        """Camera name -> mean feature (D,); empty without means."""
        return {} if self.means is None else dict(zip(self.camera_names, self.means, strict=True))


def save_site(path: Path, site: Site) -> None:
    """Write `site` to `path` atomically; raises RunError if the file cannot be written."""
    header = {
        "version": NORMS_FORMAT_VERSION if site.norms else FORMAT_VERSION,
        "model_hash": site.model_hash,
        "camera_names": list(site.camera_names),
        "card": dict(site.card),
    }
    arrays = {"rows": site.rows} | ({} if site.means is None else {"means": site.means})
    arrays |= {_NORM_PREFIX + name: values for name, values in site.norms.items()}
    import torch

    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    write_safetensors(path, tensors, {SITE_FORMAT_KEY: json.dumps(header)})


def load_site(path: Path) -> Site:
    """Read a file that `save_site` wrote.

    Raises:
        InputError: the file is missing, damaged or of another format.
    """
    if not path.is_file():
        raise InputError(f"there is no site file {path}; `mtmc reid adapt` writes one")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if SITE_FORMAT_KEY not in metadata:
                raise InputError(f"{path} is not a site file: `mtmc reid adapt` writes one")
            header = json.loads(metadata[SITE_FORMAT_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not a readable site file: {error}") from error
    if not isinstance(header, dict):
        raise InputError(f"{path} is not a readable site file: its metadata is no JSON object")
    check_tensors(path, tensors, metadata)
    if header.get("version") not in (FORMAT_VERSION, NORMS_FORMAT_VERSION):
        raise InputError(
            f"{path} has format version {header.get('version')}, but this program reads versions {FORMAT_VERSION} "
            f"and {NORMS_FORMAT_VERSION}"
        )
    try:
        return Site(
            model_hash=header["model_hash"],
            camera_names=tuple(map(str, header["camera_names"])),
            rows=tensors["rows"],
            means=tensors.get("means"),
            norms={
                key.removeprefix(_NORM_PREFIX): values
                for key, values in tensors.items()
                if key.startswith(_NORM_PREFIX)
            },
            card=dict(header["card"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} does not describe a site as this version expects it: {error}") from error
