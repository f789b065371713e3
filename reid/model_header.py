"""The header of a network: what is needed to use it, apart from its weights. Exports carry it in their metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.errors import InputError
from reid.models.config import TransReIDConfig

if TYPE_CHECKING:
    from reid.checkpoints import LoadedModel

#: The key under which an exported network carries its header as JSON.
HEADER_KEY = "mtmc_reid"
FORMAT_VERSION = 1

#: The index of an unknown camera or view.
UNKNOWN = -1

Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class ModelHeader:
    """How to prepare the input of a network, and which features can be compared.

    Attributes:
        model_hash: hash of the weights.
        image_size: (height, width) of the crops in pixels.
        feature_dim: D, the length of a feature.
        input_mean, input_std: per RGB channel, for pixels in [0, 1].
        cameras: number of rows of the camera table; 0 without a table. Only with a table is there an input `cameras`.
        camera_names: names of those rows, in order; may be empty.
        views: number of rows of the viewpoint table; at most 1 without a table. Only with a table is there an input
            `views`.
        view_names: names of those rows, in order; may be empty.
        unknown_row: whether an unknown camera (-1) has a trained row; otherwise it gets the mean of all rows.
        precision: number format of the network.
        calibration_hash: hash of the crops that an int8 network was calibrated with; empty for other precisions.
        card: data, training, results and match limits, as the checkpoint states them.
    """

    model_hash: str
    image_size: tuple[int, int]
    feature_dim: int
    input_mean: tuple[float, ...]
    input_std: tuple[float, ...]
    cameras: int = 0
    camera_names: tuple[str, ...] = ()
    views: int = 0
    view_names: tuple[str, ...] = ()
    unknown_row: bool = False
    precision: Precision = "fp32"
    calibration_hash: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, loaded: LoadedModel) -> ModelHeader:
        """Return the header of a model in memory."""
        return cls.of_config(
            loaded.model.config,
            model_hash=loaded.model_hash,
            camera_names=loaded.camera_names,
            view_names=loaded.view_names,
            input_mean=loaded.input_mean,
            input_std=loaded.input_std,
            card=loaded.card,
        )

    @classmethod
    def of_config(cls, config: TransReIDConfig, **others: Any) -> ModelHeader:
        """Return the header of a model with this configuration; `others` are the fields that it does not determine."""
        return cls(
            image_size=config.image_size,
            feature_dim=config.feature_dim,
            cameras=config.cameras,
            views=config.views,
            unknown_row=config.unknown_row,
            **others,
        )

    @property
    def embedding_hash(self) -> str:
        """Hash of the embeddings: embeddings with the same hash can be compared. 16 and 32 bit share one; int8 has its
        own."""
        return f"{self.model_hash}-int8-{self.calibration_hash}" if self.precision == "int8" else self.model_hash

    @property
    def index_inputs(self) -> tuple[str, ...]:
        """Names of the inputs after `images`: cameras, views, both or neither, as the network has them."""
        return tuple(name for name, there in (("cameras", self.cameras > 0), ("views", self.views > 1)) if there)

    def to_json(self) -> str:
        """Return the header as text for the metadata of a file."""
        return json.dumps({"version": FORMAT_VERSION, **asdict(self), "card": dict(self.card)})

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelHeader:
        """Read what `to_json` wrote.

        Args:
            where: the file, for error messages.

        Raises:
            InputError: the text is damaged or of another version.
        """
        try:
            fields = json.loads(text)
            version = fields.pop("version")
            if version != FORMAT_VERSION:
                raise InputError(
                    f"{where} was exported by a version of this program with format {version}, but this one reads "
                    f"{FORMAT_VERSION}; export it again with 'mtmc reid export'"
                )
            values: Any = {
                key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
            }
            return cls(**values)
        except (json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{where} has damaged metadata: {error}; export it again") from error
