"""Adds a site to a loaded model: its cameras to the camera table, and its layer norms."""

from __future__ import annotations

from dataclasses import replace

import torch

from pipeline.core.errors import InputError
from reid.checkpoints import LoadedModel
from reid.models.sie import side_information
from reid.models.transreid import TransReID
from reid.site.site import Site


def with_site(loaded: LoadedModel, site: Site) -> LoadedModel:
    """Return the model with the site's cameras added to its camera table, after those of the training.

    A site camera replaces a training camera of the same name. Cameras that are in neither are treated as without a
    site. A model without side information gets a table.

    Raises:
        InputError: the site was learned for another model, or does not fit this one.
    """
    site.check_fits(loaded.model_hash, loaded.model.config)
    config = loaded.model.config
    own_norms = layer_norms(loaded.model)
    for name, values in site.norms.items():
        if name not in own_norms or own_norms[name].shape != values.shape:
            raise InputError(
                f"the site has values for {name} {values.shape}, but the model has no such layer norm"
            )
    views = max(config.views, 1)
    kept = [row for row, name in enumerate(loaded.camera_names) if name not in site.camera_names]
    old = loaded.model.base.sie_embed.detach() if config.sie_rows else torch.zeros(0, 1, config.width)
    if config.cameras:
        own = old[: config.cameras * views].reshape(config.cameras, views, config.width)[kept]
    else:
        own = torch.zeros(0, views, config.width)
    new = torch.from_numpy(site.rows)[:, None].expand(-1, views, -1)
    table = torch.cat([torch.cat([own, new]).flatten(0, 1), unknown_camera_row(loaded.model)[None]])
    model = TransReID.uninitialised(replace(config, cameras=len(kept) + len(site.camera_names), unknown_row=True))
    state = dict(loaded.model.state_dict())
    state["base.sie_embed"] = table[:, None]
    state |= {name: torch.from_numpy(values) for name, values in site.norms.items()}
    model.load_state_dict(state)
    model.neck_feature = loaded.model.neck_feature
    return replace(
        loaded,
        model=model.eval(),
        model_hash=site.embedding_hash,
        camera_names=site.camera_names_with(loaded.camera_names),
    )


def layer_norms(model: TransReID) -> dict[str, torch.Tensor]:
    """Return the weights and biases (W,) of the model's layer norms by name."""
    return {
        f"{module_name}.{name}": parameter.detach()
        for module_name, module in model.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
        for name, parameter in module.named_parameters()
    }


def unknown_camera_row(model: TransReID) -> torch.Tensor:
    """Return (W,), the SIE row of a camera that the model does not know: the trained one, or the mean of all rows.

    Raises:
        InputError: the side information has only viewpoints.
    """
    config = model.config
    if not config.sie_rows:
        return torch.zeros(config.width)
    if not config.cameras:
        raise InputError("the model's side information has only viewpoints; it cannot be adapted to cameras")
    with torch.no_grad():
        row = side_information(
            model.base.sie_embed, None, None, camera_count=config.cameras, view_count=config.views, batch=1
        )
    return row.reshape(config.width).cpu()
