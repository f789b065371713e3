"""The embedder of the pipeline: computes embeddings of boxes from any cameras, in batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import EmbeddedCrops, FloatArray, Frame
from pipeline.core.errors import InputError, RunError
from pipeline.core.inference_runtime import Runtime
from pipeline.core.models import PEOPLE
from pipeline.core.network_input import parse_network_input
from pipeline.core.vectors import centred, unit
from reid.backends.choose import EmbeddingModel, build_backend
from reid.crops import crop_boxes
from reid.embedding_model import header_of, open_embedding_model, resize_of
from reid.model_header import UNKNOWN, ModelHeader

UnknownCamera = Literal["row for unknown cameras", "mean of the camera rows"]


class NetworkEmbedder:
    """Embeds boxes with a TransReID or a third-party network; satisfies `pipeline.core.models.Embedder`.

    Attributes:
        dim: D, the length of an embedding.
        model_hash: hash of the weights file. It is the same for all runtimes in 16 and 32 bit, because their embeddings
            are comparable.
        computation: library, precision and device that run the network.
        classes: names of the classes that it is for.
        embedded_crops: number of crops embedded so far.
        rejected_crops: number of boxes not embedded because they are empty, not finite or outside the image.
        unknown_cameras: maps each camera without a row in the model's camera table to what is used instead. A camera
            that `camera_rows` maps to None is in it from the start, one missing from `camera_rows` from its first crop.
    """

    def __init__(
        self,
        model: EmbeddingModel,
        *,
        camera_rows: Mapping[str, str | int | None],
        camera_means: Mapping[str, FloatArray] | None = None,
        device: str = "auto",
        runtime: Runtime = "auto",
        half: bool | Literal["auto"] = "auto",
        batch_size: int = 32,
        classes: Collection[str] = PEOPLE,
    ) -> None:
        """
        Args:
            model: a checkpoint, loaded (copied, not changed) or not, an exported network, or a third-party network.
            camera_rows: maps the pipeline's camera ids to the model's camera: its name, its row (from 0), or None.
            camera_means: maps the pipeline's camera ids to the mean embedding (D,) float32 of that camera. It is
                subtracted from the L2-normalised features of the camera's crops, which are then normalised again.
                Cameras without an entry are not centred.
            device, runtime, half: see `reid.backends.choose.build_backend`.
            batch_size: crops in one call of the model.
            classes: names of the detector's classes that the model was trained for.

        Raises:
            InputError: a camera is not in the model's table, the device cannot be used, or a mean does not have the
                length of the model's features.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, but is {batch_size}")
        header = header_of(model)
        self._header = header
        self._resize = resize_of(model)
        self._rows = {name: _row(name, camera, header) for name, camera in camera_rows.items()}
        self._means = {name: _mean(name, mean, header.feature_dim) for name, mean in (camera_means or {}).items()}
        self._backend = build_backend(model, device=device, runtime=runtime, half=half)
        self._batch_size = batch_size
        self.dim = header.feature_dim
        self.model_hash = header.embedding_hash
        self.computation = self._backend.computation
        self.classes = tuple(classes)
        self.embedded_crops = 0
        self.rejected_crops = 0
        self.unknown_cameras: dict[str, UnknownCamera] = {}
        for name in self._rows:
            self._row_of(name)

    @classmethod
    def from_file(cls, path: str | Path, network_input: str | None = None, **settings: Any) -> NetworkEmbedder:
        """Return the embedder of a weights file.

        Args:
            path: a checkpoint of this project, an export of one, or a third-party network (.onnx, OpenVINO .xml).
            network_input: pixel format of a third-party network: bgr255, imagenet or half; None for own files.
            settings: arguments of the class; without `camera_rows` every camera is an unknown one.

        Raises:
            InputError: the file is missing or not a re-identification network.
        """
        stated = None if network_input is None else parse_network_input("network_input", network_input)
        return cls(open_embedding_model(Path(path), stated), **{"camera_rows": {}, **settings})

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[FloatArray]) -> list[EmbeddedCrops]:
        """Embed the boxes `xyxy[i]` (N_i, 4), in pixels of `frames[i]`; return one result per frame, in order.

        Raises:
            ValueError: a frame with boxes has no image.
            RunError: the model returned values that are not finite.
        """
        crops: list[NDArray[np.uint8]] = []
        cameras: list[str] = []
        masks = []
        for frame, boxes in zip(frames, xyxy, strict=True):
            if not len(boxes):
                masks.append(np.zeros(0, np.bool_))
                continue
            if frame.image is None:
                raise ValueError(f"frame {frame.frame_index} of camera {frame.camera_id} has boxes but no image")
            frame_crops, valid = crop_boxes(frame.image, boxes, self._header.image_size, self._resize)
            crops.append(frame_crops)
            cameras += [frame.camera_id] * len(frame_crops)
            masks.append(valid)
        features = (
            self._features(np.concatenate(crops), cameras) if cameras else np.zeros((0, self.dim), np.float32)
        )
        self.embedded_crops += len(features)
        self.rejected_crops += sum(int((~valid).sum()) for valid in masks)

        results = []
        start = 0
        for valid in masks:
            embeddings = np.zeros((len(valid), self.dim), np.float32)
            count = int(valid.sum())
            embeddings[valid] = features[start : start + count]
            start += count
            results.append(EmbeddedCrops(embeddings=embeddings, valid=valid))
        return results

    def embed_images(self, images: Sequence[NDArray[np.uint8]], camera_id: str = "") -> EmbeddedCrops:
        """Embed pictures that are already cut to one person each.

        Args:
            images: N pictures (H_i, W_i, 3) uint8, BGR, of any sizes.
            camera_id: camera that took them, as in `camera_rows` and `camera_means`; '' if unknown.

        Returns:
            Embeddings (N, D) float32 and valid (N,) bool.
        """
        frames = [
            Frame(camera_id, number, 0.0, (image.shape[1], image.shape[0]), image)
            for number, image in enumerate(images)
        ]
        whole = [np.array([[0, 0, *frame.size_wh]], np.float32) for frame in frames]
        crops = self.embed(frames, whole)
        return EmbeddedCrops(
            np.concatenate([np.zeros((0, self.dim), np.float32), *(crop.embeddings for crop in crops)]),
            np.array([bool(crop.valid[0]) for crop in crops], np.bool_),
        )

    def _features(self, crops: NDArray[np.uint8], cameras: list[str]) -> FloatArray:
        """Return embeddings (K, D) of crops (K, 3, H, W) uint8 RGB; `cameras[i]` is the camera of crop i."""
        rows = np.array([self._row_of(camera) for camera in cameras], np.int64)
        parts = []
        for start in range(0, len(crops), self._batch_size):
            batch = slice(start, start + self._batch_size)
            parts.append(self._backend.features(crops[batch], rows[batch]))
        features = np.concatenate(parts)
        embeddings = unit(np.asarray(features, np.float32))
        if not np.isfinite(embeddings).all():
            raise RunError(
                f"the model {self.model_hash} ({self.computation}) returned features that are not finite; if it "
                "computes in half precision, run it with half: false"
            )
        return self._centred(embeddings, cameras)

    def _centred(self, embeddings: FloatArray, cameras: list[str]) -> FloatArray:
        """Subtract from embeddings (K, D) the mean of their camera, if it has one, and scale them to length 1."""
        if self._means.keys().isdisjoint(cameras):
            return embeddings
        none = np.zeros(self.dim, np.float32)
        moved = np.array([camera in self._means for camera in cameras])
        means = np.stack([self._means.get(camera, none) for camera in cameras])
        return np.where(moved[:, None], centred(embeddings, means), embeddings)

    def _row_of(self, camera_id: str) -> int:
        """Return the row of the model's camera table, or UNKNOWN; record UNKNOWN when the model has a table."""
        row = self._rows.get(camera_id, UNKNOWN)
        if row == UNKNOWN and self._header.cameras:
            self.unknown_cameras[camera_id] = (
                "row for unknown cameras" if self._header.unknown_row else "mean of the camera rows"
            )
        return row


def _mean(name: str, mean: FloatArray, dim: int) -> FloatArray:
    if mean.shape != (dim,):
        raise InputError(f"the mean feature of camera {name} has shape {mean.shape}, but the model's are ({dim},)")
    return np.asarray(mean, np.float32)


def _row(name: str, camera: str | int | None, header: ModelHeader) -> int:
    """Return the row of the model's camera table that `camera` names."""
    count = header.cameras
    if camera is None:
        return UNKNOWN
    if not count:
        raise InputError(
            f"camera {name} is given the model camera {camera!r}, but the model has no camera table; leave it out"
        )
    listed = (
        ", ".join(f"{row}: {known}" for row, known in enumerate(header.camera_names)) or f"rows 0 to {count - 1}"
    )
    if isinstance(camera, str):
        if camera not in header.camera_names:
            raise InputError(f"camera {name} is given the unknown model camera {camera!r}; the model has {listed}")
        return header.camera_names.index(camera)
    if not 0 <= camera < count:
        raise InputError(f"camera {name} is given row {camera} of the model's camera table, which has {listed}")
    return camera
