"""The distances up to which the tracker and the linker take two views for one person, as they were measured.

`python -m reid calibrate` finds them and stores them in a checkpoint's or a site file's card; settings that say
`calibrated` are filled in from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.config.config import Config
from pipeline.core.errors import InputError
from pipeline.cross_camera.match_threshold import MatchThreshold

#: The key of a card that holds a calibration.
CARD_KEY = "calibration"

# For embeddings that nobody calibrated: rather an id too many than two people with one.
_FALLBACK_CROP, _FALLBACK_TRACK = 0.25, 0.35


@dataclass(frozen=True)
class Calibration:
    """Thresholds of one model, or of one model at one site.

    Attributes:
        crop: for a new crop against a track of the same camera.
        track: for two tracks, by their feature banks.
        centred_crop, centred_track: the same after the mean of each camera was subtracted; None in older calibrations,
            and then the linker subtracts nothing.
        measured_on: in words, for people.
    """

    crop: MatchThreshold
    track: MatchThreshold
    measured_on: str
    centred_crop: MatchThreshold | None = None
    centred_track: MatchThreshold | None = None

    def of_centred_embeddings(self) -> Calibration:
        """What holds for embeddings that come without their cameras' means."""
        return replace(self, crop=self.centred_crop or self.crop, track=self.centred_track or self.track)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Calibration | None:
        """The calibration in a checkpoint's or a site's card; None if it has none.

        Raises:
            InputError: the entry is damaged.
        """
        if CARD_KEY not in card:
            return None
        try:
            entry = dict(card[CARD_KEY])
            crop, track = (
                None if entry.get(key) is None else MatchThreshold(**entry[key])
                for key in ("centred_crop", "centred_track")
            )
            return cls(
                crop=MatchThreshold(**entry["crop"]),
                track=MatchThreshold(**entry["track"]),
                measured_on=entry["measured_on"],
                centred_crop=crop,
                centred_track=track,
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"the calibration of the model is damaged ({error}); calibrate again") from error


def wants_calibration(config: Config) -> bool:
    """Whether any limit is to be taken from a calibration."""
    return any(_wanted(getattr(config, name), dict.fromkeys(keys)) for name, keys in _LIMITS.items())


def with_calibration(config: Config, calibration: Calibration | None) -> Config:
    """The configuration with a number for every limit that is `calibrated`, or None for one that nobody measured and
    that can be done without."""
    crop, track, centred = _FALLBACK_CROP, _FALLBACK_TRACK, None
    if calibration is not None:
        crop, track = calibration.crop.max_cosine_distance, calibration.track.max_cosine_distance
        if calibration.centred_track is not None:
            centred = calibration.centred_track.max_cosine_distance
    found = {"tracker": (crop,), "linker": (track, centred), "second_pass": (track, centred)}
    return config.model_copy(
        update={
            name: getattr(config, name).model_copy(
                update=_wanted(getattr(config, name), dict(zip(keys, found[name], strict=True)))
            )
            for name, keys in _LIMITS.items()
        }
    )


def with_limits_of(filled: Config, before: Config, after: Config) -> Config:
    """`after` with the limits of `filled` wherever it asks for the same limit as `before`.

    Args:
        filled: what `with_calibration` made of `before`.
    """
    return after.model_copy(
        update={
            name: getattr(after, name).model_copy(
                update={
                    key: getattr(getattr(filled, name), key)
                    for key in keys
                    if getattr(getattr(after, name), key) == getattr(getattr(before, name), key)
                }
            )
            for name, keys in _LIMITS.items()
        }
    )


# The settings that a calibration may fill in, by section.
_LIMITS = {
    "tracker": ("max_cosine_distance",),
    "linker": ("max_cosine_distance", "max_centred_cosine_distance"),
    "second_pass": ("max_cosine_distance", "max_centred_cosine_distance"),
}


def _wanted(section: Any, limits: Mapping[str, float | None]) -> dict[str, float | None]:
    """Those of `limits` that the section leaves to a calibration."""
    return {key: limit for key, limit in limits.items() if getattr(section, key) == "calibrated"}
