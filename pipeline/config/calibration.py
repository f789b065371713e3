"""The measured match limits of the tracker and the linker.

`mtmc reid calibrate` measures them and stores them in the card of a checkpoint or a site file; settings with the value
`calibrated` are filled in from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.config.config import Config
from pipeline.core.errors import InputError
from pipeline.cross_camera.match_limits import LinkLimits, MatchLimits
from pipeline.cross_camera.match_threshold import MatchThreshold
from pipeline.cross_camera.settings import LinkerSettings, SecondPassSettings

#: The key under which a card holds a calibration.
CARD_KEY = "calibration"

# For embeddings without a calibration. They are strict: an extra id is better than one id for two people.
_FALLBACK_CROP, _FALLBACK_TRACK = 0.25, 0.35


@dataclass(frozen=True)
class Calibration:
    """Match limits of one model, or of one model at one site.

    Attributes:
        crop: limit between a new crop and a track of the same camera.
        track: limit between two tracks, compared by their feature banks.
        centred_crop, centred_track: the same limits after the camera means were subtracted. None in older
            calibrations; the linker then subtracts nothing.
        measured_on: description of the data, for readers.
    """

    crop: MatchThreshold
    track: MatchThreshold
    measured_on: str
    centred_crop: MatchThreshold | None = None
    centred_track: MatchThreshold | None = None

    def of_centred_embeddings(self) -> Calibration:
        """Return the calibration for embeddings whose camera means are already subtracted."""
        return replace(self, crop=self.centred_crop or self.crop, track=self.centred_track or self.track)

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON data."""
        return asdict(self)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Calibration | None:
        """Return the calibration in the card of a checkpoint or a site file; None if there is none.

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
    """Return whether the configuration takes any limit from a calibration."""
    return any(
        getattr(getattr(config, name), key) == "calibrated" for name, keys in _LIMITS.items() for key in keys
    )


def resolved_limits(config: Config, calibration: Calibration | None) -> MatchLimits:
    """Return the match limits: from the configuration, else from the calibration, else strict defaults.

    Without a calibration, or if it has no limit for centred embeddings, no camera mean is subtracted.
    """
    crop, track, centred = _FALLBACK_CROP, _FALLBACK_TRACK, None
    if calibration is not None:
        crop, track = calibration.crop.max_cosine_distance, calibration.track.max_cosine_distance
        if calibration.centred_track is not None:
            centred = calibration.centred_track.max_cosine_distance

    def link_limits(section: LinkerSettings | SecondPassSettings) -> LinkLimits:
        cosine, centred_cosine = section.max_cosine_distance, section.max_centred_cosine_distance
        return LinkLimits(
            cosine=track if cosine == "calibrated" else cosine,
            centred_cosine=centred if centred_cosine == "calibrated" else centred_cosine,
            crowd_tightening=section.crowd_tightening,
        )

    tracker = config.tracker.max_cosine_distance
    return MatchLimits(
        tracker=crop if tracker == "calibrated" else tracker,
        linker=link_limits(config.linker),
        second_pass=link_limits(config.second_pass),
    )


def with_numbers(config: Config, limits: MatchLimits) -> dict[str, Any]:
    """Return the configuration as JSON data, with the limits that a run actually used."""
    content = config.model_dump(mode="json", by_alias=True)
    content["tracker"]["max_cosine_distance"] = limits.tracker
    for name, used in (("linker", limits.linker), ("second_pass", limits.second_pass)):
        content[name]["max_cosine_distance"] = used.cosine
        content[name]["max_centred_cosine_distance"] = used.centred_cosine
    return content


# The settings that a calibration may fill in, by section.
_LIMITS = {
    "tracker": ("max_cosine_distance",),
    "linker": ("max_cosine_distance", "max_centred_cosine_distance"),
    "second_pass": ("max_cosine_distance", "max_centred_cosine_distance"),
}
