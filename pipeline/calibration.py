"""The distances up to which the tracker and the linker take two views for one person, as they were measured.

`python -m reid calibrate` finds them and stores them in a checkpoint's or a site file's card; settings that say
`calibrated` are filled in from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.match_threshold import MatchThreshold

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
        measured_on: in words, for people.
    """

    crop: MatchThreshold
    track: MatchThreshold
    measured_on: str

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
            return cls(
                crop=MatchThreshold(**entry["crop"]),
                track=MatchThreshold(**entry["track"]),
                measured_on=entry["measured_on"],
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"the calibration of the model is damaged ({error}); calibrate again") from error


def wants_calibration(config: Config) -> bool:
    """Whether any limit is to be taken from a calibration."""
    return bool(_calibrated_sections(config))


def _calibrated_sections(config: Config) -> list[str]:
    return [
        name
        for name in ("tracker", "linker", "second_pass")
        if getattr(config, name).max_cosine_distance == "calibrated"
    ]


def with_calibration(config: Config, calibration: Calibration | None) -> Config:
    """The configuration with a number for every limit that is `calibrated`."""
    wanted = _calibrated_sections(config)
    if not wanted:
        return config
    if calibration is None:
        crop, track = _FALLBACK_CROP, _FALLBACK_TRACK
    else:
        crop, track = calibration.crop.max_cosine_distance, calibration.track.max_cosine_distance
    limits = {"tracker": crop, "linker": track, "second_pass": track}
    return config.model_copy(
        update={
            name: getattr(config, name).model_copy(update={"max_cosine_distance": limits[name]}) for name in wanted
        }
    )
