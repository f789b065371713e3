"""Build the network of a training configuration."""

from __future__ import annotations

from dataclasses import replace

from reid.models.transreid import TransReID, TransReIDConfig, architecture
from reid.training.config import TrainingConfig


def build_model(config: TrainingConfig, *, cameras: int, views: int = 0, identities: int) -> TransReID:
    """Build the network of `config`, newly initialised, for the given numbers of cameras, views and identities."""
    switches = config.model
    with_cameras = switches.camera_embedding
    backbone = (
        architecture(switches.architecture)
        if isinstance(switches.architecture, str)
        else TransReIDConfig(**switches.architecture.model_dump())
    )
    model_config = replace(
        backbone,
        image_size=switches.image_size_hw,
        stride=switches.stride_px,
        cameras=cameras if with_cameras else 0,
        views=views if switches.view_embedding else 0,
        sie_coefficient=switches.sie_coefficient,
        unknown_row=with_cameras and switches.unknown_camera_row,
        jpm=switches.jigsaw,
        shift=switches.shift,
        num_classes=identities,
        drop_path=switches.drop_path,
    )
    if switches.stem is not None:
        model_config = replace(
            model_config,
            stem="omni_scale",
            stem_channels=switches.stem.channels,
            stem_gate_groups=switches.stem.gate_groups,
        )
    return TransReID(model_config)
