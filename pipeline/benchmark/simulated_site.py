"""A simulated site of many cameras as tracks or tracklets, without pictures, boxes that move, or networks.

Every camera always has the same number of people in view. Each stays for a while and is replaced by another one, who is
either somebody who was at the site before or a new person. People have random appearance vectors, and every camera
shifts the embeddings of its crops in a direction of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Detections, FloatArray, Tracklet
from pipeline.core.vectors import camera_means, unit
from pipeline.cross_camera.camera_centres import CentreState
from pipeline.cross_camera.gallery import Gallery
from pipeline.single_camera.tracker import TrackedFrame

_BOX_XYXY = np.array([10.0, 10.0, 50.0, 110.0], np.float32)
# Age of a track at its first crop, and seconds between its first and its later crops, as with the default tracker.
_FIRST_CROP_S, _SECOND_CROP_S, _CROP_INTERVAL_S = 0.1, 0.4, 1.0
# Nobody is in two views within this time.
_WALK_S = 10.0
_SHIFT = 0.5
# Cameras that saw somebody who was at the site before time 0.
_CAMERAS_OF_A_PERSON = 4


@dataclass(frozen=True)
class Visit:
    """A person in view of a camera.

    Attributes:
        number: of the visit, from 0 in order of time; also the track id.
        person: from 1.
        camera: number of the camera, from 0.
        returns: whether the person was at the site before.
    """

    number: int
    person: int
    camera: int
    start_s: float
    returns: bool


@dataclass(frozen=True)
class SimulatedSite:
    """Simulated tracks of a site.

    Attributes:
        cameras: number of cameras, named cam1, cam2, ...
        people: number of people in each view.
        known: number of people who were at the site before time 0: the persons 1 to `known`.
        returning: share of the arriving people who were at the site before, in [0, 1].
        view_s: seconds that a person stays in a view.
        frame_rate: frames per second of every camera.
        embedding_dim: length of the embeddings.
        embedding_noise: length of the random part of an embedding, added to the person's own vector of length 1.
        seed: of everything that is random.
    """

    cameras: int
    people: int
    known: int = 0
    returning: float = 0.5
    view_s: float = 20.0
    frame_rate: float = 10.0
    embedding_dim: int = 384
    embedding_noise: float = 0.35
    seed: int = 0

    @property
    def camera_ids(self) -> list[str]:
        """Names of the cameras: cam1, cam2, ..."""
        return [f"cam{number}" for number in range(1, self.cameras + 1)]

    @property
    def arrival_interval_s(self) -> float:
        """Seconds between two arrivals, over all cameras."""
        return self.view_s / (self.cameras * self.people)

    @cached_property
    def _shift(self) -> FloatArray:
        """(C, D) direction in which each camera shifts its embeddings."""
        shift = np.random.default_rng((self.seed, 0)).standard_normal((self.cameras, self.embedding_dim))
        return (_SHIFT * unit(shift)).astype(np.float32)

    def appearance(self, person: int) -> FloatArray:
        """Return (D,) float32, the person's own vector of length 1."""
        return unit(self._random((1, person), 1)[0])

    def crops(self, person: int, camera: int, count: int, *numbers: int) -> FloatArray:
        """Return (count, D) embeddings of crops of a person in a camera; `numbers` select the noise."""
        noise = self._random((2, person, camera, *numbers), count)
        noise *= self.embedding_noise / np.linalg.norm(noise, axis=1, keepdims=True)
        return unit(self.appearance(person) + self._shift[camera] + noise)

    def _random(self, seeds: tuple[int, ...], rows: int) -> NDArray[np.float32]:
        return np.random.default_rng((self.seed, *seeds)).standard_normal((rows, self.embedding_dim), np.float32)

    def visits(self) -> Iterator[Visit]:
        """Yield all visits without end, in order of their start; those in view at time 0 have begun before it."""
        rng = np.random.default_rng((self.seed, 3))
        away = list(range(1, self.known + 1))
        in_view: deque[tuple[float, int]] = deque()
        newest = self.known
        number = 0
        begin_s = -self.view_s
        while True:
            start_s = begin_s + (number + 1) * self.arrival_interval_s
            while in_view and in_view[0][0] + self.view_s + _WALK_S <= start_s:
                away.append(in_view.popleft()[1])
            returns = bool(away) and rng.random() < self.returning
            if returns:
                place = int(rng.integers(len(away)))
                away[place], away[-1] = away[-1], away[place]
                person = away.pop()
            else:
                newest += 1
                person = newest
            in_view.append((start_s, person))
            yield Visit(number, person, number % self.cameras, start_s, returns)
            number += 1

    def gallery(self, features: int, memory_s: float) -> Gallery:
        """Return what a linker would know at time 0: the persons 1 to `known`, whose numbers are their global ids.

        Args:
            features: embeddings of each.
            memory_s: they were seen during the last half of this time.
        """
        rng = np.random.default_rng((self.seed, 4))
        seen_by = rng.integers(self.cameras, size=(self.known, _CAMERAS_OF_A_PERSON))
        camera = seen_by[:, np.arange(features) % _CAMERAS_OF_A_PERSON]
        embeddings = np.zeros((self.known, features, self.embedding_dim), np.float32)
        for row in range(self.known):
            noise = self._random((5, row), features)
            noise *= self.embedding_noise / np.linalg.norm(noise, axis=1, keepdims=True)
            embeddings[row] = unit(self.appearance(row + 1) + self._shift[camera[row]] + noise)
        seen_s = np.full((self.known, self.cameras), -np.inf)
        ago_s = rng.uniform(self.view_s + _WALK_S, memory_s / 2, self.known)
        seen_s[np.arange(self.known), camera[:, 0]] = -ago_s
        of_camera = camera_means(embeddings.reshape(-1, self.embedding_dim), camera.ravel(), self.cameras)
        tracks = np.bincount(camera[:, 0], minlength=self.cameras).astype(np.float64)
        return Gallery(
            camera_ids=tuple(self.camera_ids),
            next_id=self.known + 1,
            global_id=np.arange(1, self.known + 1),
            class_id=np.zeros(self.known, np.int64),
            last_seen_s=seen_s,
            features=embeddings,
            has_feature=np.ones((self.known, features), np.bool_),
            feature_camera=camera,
            centres=CentreState(of_camera, tracks),
            last_floor_s=np.full(self.known, np.nan),
            last_floor_xy_m=np.full((self.known, 2), np.nan),
        )

    def ticks(self, seconds: float) -> Iterator[tuple[list[Visit], list[TrackedFrame]]]:
        """Yield the visits that begin and one frame of every camera, for each tick from time 0 on."""
        coming = self.visits()
        next_visit = next(coming)
        present: list[deque[Visit]] = [deque() for _ in range(self.cameras)]
        for index in range(round(seconds * self.frame_rate)):
            time_s = index / self.frame_rate
            begun: list[Visit] = []
            while next_visit.start_s <= time_s:
                begun.append(next_visit)
                present[next_visit.camera].append(next_visit)
                next_visit = next(coming)
            frames = []
            for camera, visits in enumerate(present):
                ended = []
                while visits and visits[0].start_s + self.view_s <= time_s:
                    ended.append(visits.popleft().number)
                frames.append(self._frame(camera, visits, index, tuple(ended)))
            yield begun, frames

    def _frame(self, camera: int, visits: deque[Visit], index: int, ended: tuple[int, ...]) -> TrackedFrame:
        time_s, count = index / self.frame_rate, len(visits)
        embeddings = np.zeros((count, self.embedding_dim), np.float32)
        embedded = np.zeros(count, np.bool_)
        for row, visit in enumerate(visits):
            if self._crop_is_due(time_s - visit.start_s):
                embeddings[row] = self.crops(visit.person, camera, 1, 0, index)[0]
                embedded[row] = True
        return TrackedFrame(
            camera_id=f"cam{camera + 1}",
            frame_index=index,
            time_s=time_s,
            track_ids=np.array([visit.number for visit in visits], np.int64),
            detections=Detections(
                xyxy=np.tile(_BOX_XYXY, (count, 1)),
                confidence=np.full(count, 0.9, np.float32),
                class_id=np.zeros(count, np.int64),
                embeddings=embeddings,
                embedded=embedded,
            ),
            good_crop=embedded,
            partial_crop=np.zeros(count, np.bool_),
            still=np.zeros(count, np.bool_),
            weak=np.zeros(count, np.bool_),
            earlier={},
            ended=ended,
        )

    def _crop_is_due(self, age_s: float) -> bool:
        """Return whether a crop became due since the previous frame."""
        before_s = age_s - 1 / self.frame_rate
        if before_s < _FIRST_CROP_S <= age_s or before_s < _SECOND_CROP_S <= age_s:
            return True
        later, later_before = age_s - _SECOND_CROP_S, before_s - _SECOND_CROP_S
        return later_before >= 0 and int(later / _CROP_INTERVAL_S) > int(later_before / _CROP_INTERVAL_S)


@dataclass(frozen=True)
class SimulatedTracklets:
    """The tracklets of a site's first visits, in the order in which they ended; can be iterated any number of times.

    Attributes:
        count: number of tracklets.
        embeddings: of each tracklet.
    """

    site: SimulatedSite
    count: int
    embeddings: int = 4

    def visits(self) -> Iterator[Visit]:
        """Yield the visits, one for each tracklet."""
        for visit in self.site.visits():
            if visit.number == self.count:
                return
            yield visit

    def __iter__(self) -> Iterator[Tracklet]:
        site = self.site
        for visit in self.visits():
            yield Tracklet(
                camera_id=f"cam{visit.camera + 1}",
                track_id=visit.number,
                class_id=0,
                start_s=visit.start_s + site.view_s,  # the first visits begin before time 0
                end_s=visit.start_s + 2 * site.view_s,
                embeddings=site.crops(visit.person, visit.camera, self.embeddings, 1, visit.number),
                floor_time_s=np.zeros(0),
                floor_xy_m=np.zeros((0, 2)),
                observations=round(site.view_s * site.frame_rate),
            )
