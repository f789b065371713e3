"""A model combined with a site file, as the pipeline uses it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.datatypes import FloatArray
from pipeline.core.errors import InputError
from reid.backends.choose import EmbeddingModel
from reid.backends.exported import ExportedModel
from reid.checkpoint_file import CheckpointFile
from reid.foreign_network import ForeignNetwork, with_means
from reid.site.site import load_site

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SiteModel:
    """Arguments for `reid.embedder.NetworkEmbedder`.

    Attributes:
        model: its hash covers model and site together.
        camera_rows: camera of the pipeline -> row of the model's table, by name or number, or None.
        camera_means: camera -> mean embedding (D,), for centring.
    """

    model: EmbeddingModel
    camera_rows: Mapping[str, str | int | None]
    camera_means: Mapping[str, FloatArray]


def at_site(model: EmbeddingModel, path: Path, rows: Mapping[str, str | int | None]) -> SiteModel:
    """Combine a model with a site file.

    Args:
        rows: camera of the pipeline -> requested row of the model's own table, or None.

    Raises:
        InputError: the file cannot be read or was learned for another model, or the model is an export.
    """
    if isinstance(model, ExportedModel):
        raise InputError(
            f"embedder.site needs the .safetensors checkpoint that it was learned for, not {model.path}: the site's "
            "rows become part of the network, which is then exported automatically to the fastest runtime"
        )
    site = load_site(path)
    if isinstance(model, ForeignNetwork):
        strangers = [name for name in rows if name not in site.camera_means]
        if strangers:
            _log.warning(
                "%s has no mean for %s: their embeddings are not centred, those of the other cameras are; adapt again "
                "with all cameras",
                path,
                ", ".join(strangers),
            )
        return SiteModel(with_means(model, site), rows, site.camera_means)
    if isinstance(model, CheckpointFile):
        chosen = site.rows_of(rows, model.header.camera_names)
        adapted: EmbeddingModel = model.at_site(path, site)
    else:
        from reid.site.with_site import with_site

        chosen = site.rows_of(rows, model.camera_names)
        adapted = with_site(model, site)
    means = {name: mean for name, mean in site.camera_means.items() if chosen.get(name) == name}
    return SiteModel(adapted, chosen, means)
