"""The people of a scene and their positions at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.clothes import Outfit, random_outfits
from demo.gait import step_length_m
from demo.hall import Hall, build_hall
from demo.paths import Trajectory, random_walk
from demo.settings import SceneSettings

HEIGHT_M = (1.58, 1.88)


@dataclass(frozen=True, eq=False)
class Standing:
    """One person at one moment.

    Attributes:
        global_id: 1..people.
        position_m: (2,) floor position of the body's axis in metres.
        heading: (2,) unit vector of the walking direction.
        phase_rad: phase of the gait cycle.
    """

    global_id: int
    position_m: NDArray[np.float64]
    heading: NDArray[np.float64]
    phase_rad: float


@dataclass(frozen=True, eq=False)
class Scene:
    """The settings, with clothes, heights and walks drawn."""

    settings: SceneSettings
    hall: Hall
    outfits: tuple[Outfit, ...]
    heights_m: tuple[float, ...]
    trajectories: tuple[Trajectory, ...]

    @classmethod
    def of(cls, settings: SceneSettings) -> Scene:
        """Draw clothes, heights and walks from the seed, unless the settings specify them."""
        hall = build_hall(settings.hall_seed)
        # separate random streams, so that other walks do not change the clothes
        clothes_rng, body_rng, walk_rng = (np.random.default_rng([settings.seed, stream]) for stream in range(3))
        outfits = settings.outfits or tuple(random_outfits(clothes_rng, settings.people, settings.shared_tops))
        heights = tuple(float(h) for h in body_rng.uniform(*HEIGHT_M, settings.people))
        walks = settings.walks or tuple(
            random_walk(walk_rng, hall, settings.seconds, settings.speed_m_s) for _ in range(settings.people)
        )
        return cls(settings, hall, outfits, heights, tuple(Trajectory.of(walk) for walk in walks))

    def time_s(self, frame_index: int) -> float:
        """Return the scene time of a frame in s; frames count from 0."""
        return frame_index / self.settings.fps

    def people_at(self, time_s: float) -> list[Standing]:
        """Return the people who are walking at `time_s`, by ascending global id."""
        found = []
        for number, trajectory in enumerate(self.trajectories):
            walked = trajectory.walked_m(time_s)
            if walked is None:
                continue
            step = step_length_m(self.heights_m[number])
            found.append(
                Standing(
                    global_id=number + 1,
                    position_m=trajectory.position_m(walked),
                    heading=trajectory.heading(walked),
                    phase_rad=float(np.pi * walked / step + 1.7 * number),
                )
            )
        return found
