"""Pictures as queries: finds the person in a picture and embeds the crop as the run embeds its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.assembly import build_detector, build_embedder
from pipeline.config.config import Config
from pipeline.core.boxes import clip_xyxy
from pipeline.core.datatypes import FloatArray, Frame
from pipeline.core.errors import InputError
from pipeline.core.models import Detector, Embedder, checked, checked_detections, embedded_classes, named_in
from pipeline.core.vectors import centred
from pipeline.search.query import ANY_CAMERA, Query, QueryView
from pipeline.search.track_pictures import cropped
from pipeline.sources.images import required_image

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""

# A picture that is at least this many times as high as it is wide may be the crop of one person ...
_CROP_SHAPE = 1.4
# ... and is one if a person covers at least this share of it.
_PERSON_SHARE = 0.35
# A crop is cut to the person's box if that is much smaller: the run's own crops are such boxes.
_TIGHT_SHARE = 0.75
# Detectors find people who fill a picture better if there is something around them. With repeated pixels, and any
# confidence, the shipped detector finds at least 98 % of the people in crops of CUHK, Market-1501 and the demo scene,
# and nobody in patches of the demo scene without people.
_MARGIN_SHARE = 0.25
_LISTED = 12


class NobodyFound(InputError):
    """A picture shows no person."""


class SeveralPeople(InputError):
    """A picture shows several people, and none was chosen.

    Attributes:
        boxes: (N, 4) xyxy in px of the picture, from left to right.
    """

    def __init__(self, text: str, boxes: FloatArray) -> None:
        super().__init__(text)
        self.boxes = boxes


@dataclass(frozen=True)
class PictureChoice:
    """How the person in a picture is chosen.

    Attributes:
        whole: whether every picture is a scene in which people have to be found; otherwise that depends on its shape.
        persons: for the pictures with several people, in order: the number of the person, from 1.
        force: whether every picture is taken as the crop of a person without a check.
    """

    whole: bool = False
    persons: Sequence[int] = ()
    force: bool = False


@dataclass(frozen=True, eq=False)
class PictureModels:
    """The models of a run, for pictures.

    Attributes:
        config: of the run.
        detector: None if pictures are taken as they are.
        any_camera_mean: (D,) what is subtracted from the embeddings of a picture of an unknown camera: the mean over
            the cameras of the site file, if the run's embeddings are centred by one; else None.
    """

    config: Config
    embedder: Embedder
    detector: Detector | None
    any_camera_mean: FloatArray | None


@dataclass(frozen=True, eq=False)
class PictureQuery:
    """A query made of pictures.

    Attributes:
        crops: what was embedded, for showing.
        notes: sentences about what was decided, for the user.
    """

    query: Query
    crops: Sequence[Image]
    notes: Sequence[str]


def picture_models(
    config: Config,
    embedder_hash: str,
    run_name: str,
    *,
    detect: bool,
    detector: Detector | None = None,
    embedder: Embedder | None = None,
) -> PictureModels:
    """Build the models that the configuration of a run names.

    Args:
        embedder_hash: of the run's embeddings.
        detect: whether a detector is needed.
        detector, embedder: replace those of the configuration, as in `track`.

    Raises:
        InputError: weights are missing, or the embedder is not the model of the run.
    """
    own = embedder is not None
    if embedder is None:
        embedder = build_embedder(config)
    if embedder is None:
        raise InputError("embedder.weights is null: a search by picture needs the model of the run")
    if embedder.model_hash != embedder_hash:
        named = (
            "the embedder" if own else " with ".join(filter(None, (config.embedder.weights, config.embedder.site)))
        )
        raise InputError(
            f"the embeddings of {run_name} are of the model {embedder_hash}, but {named} is {embedder.model_hash}, so "
            "they cannot be compared: name the model of the run with --set embedder.weights=FILE (and embedder.site), "
            "or track again"
        )
    if detect and detector is None:
        detector = build_detector(config)
    return PictureModels(config, embedder, detector if detect else None, None if own else _mean_of_site(config))


def picture_query(
    files: Sequence[Path], models: PictureModels, camera_id: str | None, choice: PictureChoice
) -> PictureQuery:
    """Return the query for a person whom all the pictures show.

    Args:
        files: at least one picture.
        camera_id: camera of the run that took them; None if it is another one or unknown.

    Raises:
        InputError: a file is no picture, or shows nobody or several people, or the camera is unknown.
    """
    return images_query([(str(file), required_image(file)) for file in files], models, camera_id, choice)


def images_query(
    images: Sequence[tuple[str, Image]], models: PictureModels, camera_id: str | None, choice: PictureChoice
) -> PictureQuery:
    """Return the query of decoded pictures with their names; see `picture_query`."""
    names = [camera.name for camera in models.config.cameras]
    if camera_id is not None and camera_id not in names:
        raise InputError(f"--camera {camera_id!r}: the cameras of the run are {', '.join(names) or 'unknown'}")
    if choice.force and choice.whole:
        raise InputError("--force takes a picture as a crop, --whole as a scene: give one of them")
    camera = camera_id or ANY_CAMERA
    waiting = list(choice.persons)
    notes: list[str] = []
    crops: list[Image] = []
    embeddings: list[FloatArray] = []
    for name, image in images:
        frame = Frame(camera, 0, 0.0, (image.shape[1], image.shape[0]), image)
        box = _person(name, frame, models, choice, waiting, notes)
        height_px = float(box[3] - box[1])
        if height_px < models.config.tracker.good_crop_height_px:
            notes.append(
                f"the person in {name} is only {height_px:.0f} px high: crops below "
                f"{models.config.tracker.good_crop_height_px} px (tracker.good_crop_height_px) tell little"
            )
        (embedded,) = checked(models.embedder.embed([frame], [box[None]]), [frame])
        if not embedded.valid[0]:
            raise InputError(f"{name}: the person is too small to embed")
        embeddings.append(embedded.embeddings[0])
        crops.append(cropped(image, box))
    if waiting:
        raise InputError(f"--person {waiting[0]} is left over: no further picture shows several people")
    stacked = np.stack(embeddings)
    if camera == ANY_CAMERA and models.any_camera_mean is not None:
        stacked = centred(stacked, models.any_camera_mean)
    notes.append(_row_note(camera, models))
    text = f"{len(images)} pictures" if len(images) > 1 else images[0][0]
    return PictureQuery(Query([QueryView(camera, np.asarray(stacked, np.float32))], text), crops, notes)


def _row_note(camera: str, models: PictureModels) -> str:
    """Return which row of the model's camera table the pictures got."""
    unknown = models.embedder.unknown_cameras.get(camera)
    if camera != ANY_CAMERA:
        known = [one for one in models.config.cameras if one.name == camera and one.reid_camera is not None]
        row = ", with its SIE row" if known or models.config.embedder.site is not None else ""
        return f"the picture is embedded as a crop of camera {camera}{f', with the {unknown}' if unknown else row}"
    row = f"the {unknown}" if unknown else "no SIE row, because the model has none"
    centring = (
        "" if models.any_camera_mean is None else ", and centred with the mean over the cameras of the site file"
    )
    return f"the camera of the picture is not known: it is embedded with {row}{centring}"


def _person(
    name: str, frame: Frame, models: PictureModels, choice: PictureChoice, waiting: list[int], notes: list[str]
) -> FloatArray:
    """Return the box (4,) of the person in a picture, in its pixels; take a number from `waiting` if it shows several
    people."""
    assert frame.image is not None
    width, height = frame.size_wh
    everything = np.array([0, 0, width, height], np.float32)
    if choice.force:
        return everything
    crop_shaped = height >= _CROP_SHAPE * width and not choice.whole
    boxes, confidence = _people(frame, models, margin=crop_shaped)
    if crop_shaped and len(boxes):
        shares = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (width * height)
        filling = np.flatnonzero(shares >= _PERSON_SHARE)
        if len(filling):
            best = int(filling[confidence[filling].argmax()])
            sure = int((confidence[filling] >= models.config.tracker.good_crop_confidence).sum())
            if sure > 1:
                notes.append(f"{name} shows {sure} large people; the surest box is used (--whole lists them)")
            return everything if shares[best] >= _TIGHT_SHARE else np.asarray(boxes[best])
        notes.append(f"{name} is high, but no person fills it: people are searched in it as in a whole picture")
        boxes, confidence = _people(frame, models, margin=False)
    if not len(boxes):
        raise NobodyFound(
            f"{name}: no person is found in it; --force uses the whole picture as the crop of a person anyway"
        )
    if len(boxes) == 1:
        return np.asarray(boxes[0])
    listed = "; ".join(
        f"{number}: {', '.join(f'{value:.0f}' for value in box)} ({sure:.2f})"
        for number, (box, sure) in enumerate(
            zip(boxes[:_LISTED].tolist(), confidence.tolist(), strict=False), start=1
        )
    )
    if not waiting:
        more = "; ..." if len(boxes) > _LISTED else ""
        raise SeveralPeople(
            f"{name} shows {len(boxes)} people, from left to right (left, top, right, bottom in px, confidence): "
            f"{listed}{more}. Choose one with --person N",
            boxes,
        )
    number = waiting.pop(0)
    if not 1 <= number <= len(boxes):
        raise InputError(f"--person {number}: {name} shows {len(boxes)} people: {listed}")
    return np.asarray(boxes[number - 1])


def _people(frame: Frame, models: PictureModels, *, margin: bool) -> tuple[FloatArray, FloatArray]:
    """Return the boxes (N, 4) of people in a picture, from left to right, clipped to it, and their confidences (N,).

    Args:
        margin: whether the picture may be a crop: the detector gets it with a margin, and any confidence is enough.
    """
    assert models.detector is not None
    assert frame.image is not None
    width, height = frame.size_wh
    around = round(_MARGIN_SHARE * max(width, height)) if margin else 0
    image = frame.image
    if around:
        image = np.asarray(
            cv2.copyMakeBorder(image, around, around, around, around, cv2.BORDER_REPLICATE), np.uint8
        )
    shown = Frame(frame.camera_id, 0, 0.0, (image.shape[1], image.shape[0]), image)
    (found,) = checked_detections(models.detector, [shown])
    names = models.detector.class_names
    kept = named_in(names.values(), embedded_classes(models.embedder))
    of_people = np.array([names[one] in kept for one in found.class_id.tolist()], np.bool_)
    sure = found.confidence >= (0.0 if margin else models.config.tracker.good_crop_confidence)
    boxes = clip_xyxy(found.xyxy - np.float32(around), (width, height))
    inside = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    rows = np.flatnonzero(of_people & sure & inside)
    rows = rows[np.argsort(boxes[rows, 0], kind="stable")]
    return np.asarray(boxes[rows], np.float32), found.confidence[rows]


def _mean_of_site(config: Config) -> FloatArray | None:
    """Return the (D,) mean over the camera means of the site file; None without a site file or means."""
    if config.embedder.site is None:
        return None
    from reid.site.site import load_site

    means = load_site(Path(config.embedder.site)).means
    return None if means is None else np.asarray(means.mean(axis=0), np.float32)
