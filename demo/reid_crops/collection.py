"""A set of rendered crops on disk, as files PPPPP_cC_KK.jpg: person, camera, running number."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reid_crops.avatars import prepare_avatars
from demo.reid_crops.looks import Wardrobe, draw_people
from demo.reid_crops.places import SurveillanceCamera, draw_places
from demo.reid_crops.rasteriser import Rasteriser
from demo.reid_crops.studio import Studio, Visit
from demo.reid_crops.surfaces import read_panoramas
from pipeline.core.errors import InputError

CARD = "cards.json"
CAMERAS_A_PERSON = (2, 6)
CROP_QUALITY = 92
CHUNK = 4  # people per task of a worker
LICENCE = (
    "Bodies: VALID avatars (github.com/c-frame/valid-avatars-glb), MIT License, Copyright (c) 2022 Tiffany Do. "
    "Panoramas, where a folder was given: the studio lights of Blender (PyPI bpy), CC0. Nobody in the pictures exists."
)


@dataclass(frozen=True)
class CropSettings:
    """The settings of a set of crops.

    Attributes:
        avatars: folder of GLB files.
        cache: folder for the unpacked avatars.
        panoramas: folder of panoramas, or None.
        people, crops_per_person: numbers of people and of crops for each.
        seed: the same seed gives the same set, with any number of workers.
        workers: number of processes.
    """

    avatars: Path
    cache: Path
    panoramas: Path | None
    people: int
    crops_per_person: int
    seed: int
    workers: int

    def __post_init__(self) -> None:
        if self.people < 1 or self.workers < 1 or self.seed < 0:
            raise InputError(
                f"people is {self.people}, workers {self.workers} and seed {self.seed}: "
                "give 1 or more people and workers, and a seed of 0 or more"
            )
        if self.crops_per_person < CAMERAS_A_PERSON[0]:
            raise InputError(
                f"crops per person is {self.crops_per_person}: give {CAMERAS_A_PERSON[0]} or more, "
                "because at least two cameras see each person"
            )


@dataclass(frozen=True)
class Written:
    """Result of a call: number of crops, and processor time of the workers in seconds."""

    crops: int
    cpu_s: float


def write_crops(settings: CropSettings, output: Path, command: str) -> Written:
    """Render a set into `output`.

    Args:
        settings: what to render.
        output: folder for the crops and CARD; must not hold crops.
        command: command line to record in the card.

    Raises:
        InputError: a package or program is missing, a folder has no avatars, or `output` holds crops.
    """
    if output.is_dir() and any(output.glob("*.jpg")):
        raise InputError(f"{output} holds crops already: give another folder or remove them")
    output.mkdir(parents=True, exist_ok=True)
    # OpenGL gets its own processes: its context does not survive a fork, and Mesa crashes after PyTorch's libraries
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        avatars = pool.submit(prepare_avatars, settings.avatars, settings.cache).result()
    starts = range(0, settings.people, CHUNK)
    chunks = [range(start, min(start + CHUNK, settings.people)) for start in starts]
    crops, cpu_s = 0, 0.0
    panoramas = [] if settings.panoramas is None else read_panoramas(settings.panoramas)
    with ProcessPoolExecutor(
        settings.workers,
        mp_context=spawn,
        initializer=_start_worker,
        initargs=(settings, avatars, panoramas, output),
    ) as pool:
        for count, seconds in pool.map(_write_people, chunks):
            crops, cpu_s = crops + count, cpu_s + seconds
    card = {
        "what": "rendered crops of people who do not exist, for training re-identification",
        "command": command,
        "seed": settings.seed,
        "people": settings.people,
        "crops": crops,
        "cameras": len(draw_places(settings.seed)[1]),
        "names": "PPPPP_cC_KK.jpg: person, camera, running number of the person",
        "sources and licences": LICENCE,
    }
    (output / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return Written(crops, cpu_s)


def draw_sheet(folder: Path, people: int = 12) -> NDArray[np.uint8]:
    """Return a picture of a set, (256, 64 * people, 3) uint8 BGR: one column per person, with crops of two cameras.

    Raises:
        InputError: the folder holds no crops.
    """
    crops: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.glob("*.jpg")):
        person, camera, _ = file.stem.split("_")
        crops.setdefault(person, {}).setdefault(camera, file)
    if not crops:
        raise InputError(f"no crops in {folder}: render some with `python -m demo reid-crops`")
    columns = []
    for seen in list(crops.values())[:people]:
        pictures = [cv2.imread(str(file)) for file in (list(seen.values()) * 2)[:2]]
        columns.append(
            np.vstack([cv2.resize(p, (64, 128), interpolation=cv2.INTER_AREA) for p in pictures if p is not None])
        )
    return np.asarray(np.hstack(columns), np.uint8)


def draw_visits(seed: int, person: int, crops: int, cameras: list[SurveillanceCamera]) -> list[Visit]:
    """Draw the cameras that see a person, and the number of crops of each: two to six cameras, mostly of one or two
    places."""
    rng = np.random.default_rng([seed, 0xB1, person])
    low, high = CAMERAS_A_PERSON
    count = min(int(rng.integers(low, high + 1)), crops)
    places = sorted({camera.place for camera in cameras})
    order = [places[i] for i in rng.permutation(len(places))]
    near = [
        number
        for place in order
        for number in rng.permutation([i for i, camera in enumerate(cameras) if camera.place == place])
    ]
    if rng.random() < 0.5:  # one camera in each of several places
        near = [int(rng.choice([i for i, c in enumerate(cameras) if c.place == place])) for place in order]
    seen_by = near[:count]
    each = np.full(count, crops // count) + (np.arange(count) < crops % count)
    return [
        Visit(person, int(camera), (seed, 0xC5, person, int(camera)), int(number))
        for camera, number in zip(seen_by, each, strict=True)
    ]


def named_crops(
    studio: Studio, settings: CropSettings, person: int, cameras: list[SurveillanceCamera]
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield file names and crops (256, 128, 3) uint8 BGR of one person."""
    visits = draw_visits(settings.seed, person, settings.crops_per_person, cameras)
    number = 0
    for visit, crops in zip(visits, studio.crops(visits), strict=True):
        for crop in crops:
            yield f"{person:05d}_c{cameras[visit.camera].number}_{number:02d}.jpg", crop
            number += 1


def open_studio(
    settings: CropSettings, avatars: list[Path], panoramas: list[NDArray[np.uint8]], rasteriser: Rasteriser
) -> Studio:
    """Build the studio of the settings; `avatars` are files of the cache, `panoramas` are (H, 2 H, 3) uint8 RGB."""
    places, cameras = draw_places(settings.seed)
    wardrobe = read_wardrobe(avatars)
    return Studio(
        rasteriser=rasteriser,
        avatars=avatars,
        people=draw_people(settings.seed, settings.people, wardrobe),
        places=places,
        cameras=cameras,
        wardrobe=wardrobe,
        panoramas=panoramas,
        seed=settings.seed,
    )


def read_wardrobe(avatars: list[Path]) -> Wardrobe:
    """Read which bodies and hair meshes the files of the cache have."""
    has_wig = []
    for file in avatars:
        with np.load(file) as arrays:
            has_wig.append("wig_position" in arrays)
    return Wardrobe(tuple("_F_" in file.name for file in avatars), tuple(has_wig))


@dataclass
class _Worker:
    """State of a process between calls."""

    settings: CropSettings
    output: Path
    studio: Studio
    cameras: list[SurveillanceCamera] = field(default_factory=list)


_worker: list[_Worker] = []  # one element, in each process of the pool


def _start_worker(
    settings: CropSettings, avatars: list[Path], panoramas: list[NDArray[np.uint8]], output: Path
) -> None:
    cv2.setNumThreads(1)
    studio = open_studio(settings, avatars, panoramas, Rasteriser())
    _worker.append(_Worker(settings, output, studio, draw_places(settings.seed)[1]))


def _write_people(people: range) -> tuple[int, float]:
    worker, started, count = _worker[0], time.process_time(), 0
    for person in people:
        for name, crop in named_crops(worker.studio, worker.settings, person, worker.cameras):
            cv2.imwrite(str(worker.output / name), crop, [cv2.IMWRITE_JPEG_QUALITY, CROP_QUALITY])
            count += 1
    return count, time.process_time() - started
