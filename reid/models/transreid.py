"""TransReID: a vision transformer for re-identification, with side information and jigsaw patch module.

He et al., "TransReID: Transformer-based Object Re-Identification", ICCV 2021 (https://arxiv.org/abs/2102.04378).
Parameter names match the authors' release, so that released weights load.
"""

from __future__ import annotations

import copy
from typing import Literal, cast

import torch
from torch import Tensor, nn

from reid.models.config import ARCHITECTURES, TransReIDConfig, architecture
from reid.models.jpm import part_token_ids
from reid.models.vit import LAYER_NORM_EPS, Block, VisionTransformer

__all__ = ["ARCHITECTURES", "NeckFeature", "TransReID", "TransReIDConfig", "architecture"]

NeckFeature = Literal["before", "after"]


class TransReID(nn.Module):
    """Maps images to appearance features.

    Attributes:
        config: sizes and options of the model.
        neck_feature: whether the inference feature is taken "before" or "after" the batch normalisation neck;
            the published results use "before".
        loading_report: what a loader changed or left out, one sentence each; empty for a new model.
    """

    part_tokens: Tensor

    def __init__(self, config: TransReIDConfig, *, neck_feature: NeckFeature = "before") -> None:
        super().__init__()
        self.config = config
        self.neck_feature: NeckFeature = neck_feature
        self.loading_report: list[str] = []
        self.base = VisionTransformer(config)
        if config.jpm:
            last = nn.Sequential(Block(config, config.drop_path), nn.LayerNorm(config.width, eps=LAYER_NORM_EPS))
            self.b1 = copy.deepcopy(last)
            self.b2 = copy.deepcopy(last)
            self.register_constants()
        for name in self.head_names("bottleneck"):
            bottleneck = nn.BatchNorm1d(config.width)
            bottleneck.bias.requires_grad_(False)  # stays 0 (Luo et al., "Bag of Tricks", CVPRW 2019)
            self.add_module(name, bottleneck)
        if config.num_classes:
            for name in self.head_names("classifier"):
                classifier = nn.Linear(config.width, config.num_classes, bias=False)
                nn.init.normal_(classifier.weight, std=0.001)
                self.add_module(name, classifier)

    @classmethod
    def uninitialised(cls, config: TransReIDConfig) -> TransReID:
        """Build a model on the CPU without the slow random initialisation, for weights that are loaded next."""
        with torch.device("meta"):
            model = cls(config)
        model.to_empty(device="cpu")
        model.base.register_constants()
        model.register_constants()
        return model

    def register_constants(self) -> None:
        """Set the buffers that depend only on the configuration and are not in state dicts."""
        c = self.config
        if c.jpm:
            parts = part_token_ids(
                c.tokens,
                parts=c.parts,
                shift=c.shift,
                groups=c.groups,
                rearrange=c.rearrange,
                divide_length=c.divide_length,
            )
            self.register_buffer("part_tokens", torch.tensor(parts), persistent=False)  # (parts, N // parts)

    def head_names(self, kind: Literal["bottleneck", "classifier"]) -> list[str]:
        """Return the module names of the heads: of the global feature, then of the local ones (`bottleneck_1`, ...)."""
        parts = self.config.parts if self.config.jpm else 0
        return [kind, *(f"{kind}_{part}" for part in range(1, parts + 1))]

    def forward(
        self, images: Tensor, cameras: Tensor | None = None, views: Tensor | None = None
    ) -> Tensor | tuple[list[Tensor], list[Tensor]]:
        """Compute the features of a batch of images.

        Args:
            images: (B, 3, H, W) of `config.image_size`, RGB, normalised as the weights require.
            cameras: (B,) int64, rows of the model's camera table, -1 for unknown cameras; None if all are unknown.
                Ignored without a camera table.
            views: the same for viewpoints; ignored if the model has at most one.

        Returns:
            In evaluation mode (B, D), or (B, (1 + parts) * D) with the jigsaw, not L2-normalised: the global feature,
            then the local ones divided by their number.
            In training mode (logits, features): per head (B, num_classes), and (B, D) before the neck.

        Raises:
            IndexError: a camera or view is outside the model's table.
            ValueError: the images have another size, or the model is in training mode without classifiers.
        """
        features = self.features(images, cameras, views)
        if self.training:
            if not self.config.num_classes:
                raise ValueError("a TransReID without classifiers (num_classes = 0) cannot be trained")
            necks = self._apply_heads("bottleneck", features)
            return self._apply_heads("classifier", necks), features
        return self.inference_feature(features)

    def features(self, images: Tensor, cameras: Tensor | None = None, views: Tensor | None = None) -> list[Tensor]:
        """Return the global feature and, with the jigsaw, the local ones, before the neck: (B, D) each."""
        tokens: Tensor = self.base(images, cameras, views)
        if not self.config.jpm:
            return [tokens[:, 0]]
        overall: Tensor = self.b1(tokens)[:, 0]
        parts, length = self.part_tokens.shape
        batch, _, width = tokens.shape
        jigsaw = tokens[:, self.part_tokens.flatten()].reshape(batch, parts, length, width)
        class_token = tokens[:, None, :1].expand(-1, parts, -1, -1)
        # the parts share b2 and do not attend to each other, so they run as one batch
        pieces = torch.cat([class_token, jigsaw], dim=2).flatten(0, 1)
        local: Tensor = self.b2(pieces)[:, 0].reshape(batch, parts, width)
        return [overall, *local.unbind(1)]

    def inference_feature(self, features: list[Tensor]) -> Tensor:
        """Return what `forward` returns in evaluation mode, given the result of `features`."""
        if self.neck_feature == "after":
            features = self._apply_heads("bottleneck", features)
        return torch.cat([features[0], *(local / self.config.parts for local in features[1:])], dim=1)

    def _apply_heads(self, kind: Literal["bottleneck", "classifier"], features: list[Tensor]) -> list[Tensor]:
        names = self.head_names(kind)
        return [cast(Tensor, self.get_submodule(name)(x)) for name, x in zip(names, features, strict=True)]
