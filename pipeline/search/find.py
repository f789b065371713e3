"""Finds people in finished runs and live sites who look like a picture, or like a person of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from pipeline.core.models import Detector, Embedder
from pipeline.search.meaning import Meaning
from pipeline.search.open_runs import open_runs
from pipeline.search.pictures import PictureChoice, picture_models, picture_query
from pipeline.search.ranking import Moment, Ranking, TrackFilter, rank
from pipeline.search.run_config import ConfigChoice
from pipeline.search.searched_run import SearchedRun, Visit
from pipeline.search.track_query import query_of_person, query_of_track

#: Above this number of tracks, the user is told that the search is exact all the same.
MANY_TRACKS = 1_000_000


@dataclass(frozen=True)
class Match:
    """A track that was compared with the query.

    Attributes:
        rank: from 1, the nearest.
        run: name of the run.
        camera_id, global_id: camera and person.
        name: of the person, if a review gave one; '' without one.
        track_id: number of the track; None for a person of a live site of whom no rows are left.
        final: whether the global id cannot change any more.
        start_s, end_s: first and last box on the clock of the run, in seconds.
        start_utc, end_utc: the same as dates; None if the run has no dates.
        distance: cosine distance to the query, from 0 (the same) to 2.
        cost: the distance divided by the match limit of this comparison.
        meaning: what the distance means.
        crops: number of embeddings of the track.
        more_tracks: number of other tracks of the person that were compared.
    """

    rank: int
    run: str
    camera_id: str
    track_id: int | None
    global_id: int
    final: bool
    start_s: float
    end_s: float
    start_utc: datetime | None
    end_utc: datetime | None
    distance: float
    cost: float
    meaning: Meaning
    crops: int
    more_tracks: int
    name: str = ""

    @property
    def person(self) -> str:
        """The person as text, such as "3" or "Ana (3)"."""
        return f"{self.name} ({self.global_id})" if self.name else str(self.global_id)

    def to_dict(self) -> dict[str, Any]:
        """Return the match as JSON data."""
        dates = {name: None if date is None else date.isoformat() for name, date in self._dates.items()}
        numbers = {name: round(getattr(self, name), 4) for name in ("start_s", "end_s", "distance", "cost")}
        return {**vars(self), **numbers, **dates, "meaning": str(self.meaning)}

    @property
    def _dates(self) -> dict[str, datetime | None]:
        return {"start_utc": self.start_utc, "end_utc": self.end_utc}


@dataclass(frozen=True, eq=False)
class Found:
    """The result of a search.

    Attributes:
        query: what was searched for, in words.
        matches: the nearest tracks, the nearest first; by default the nearest one of each person.
        tracks, people: number of tracks and people that were compared.
        left_out: number of tracks that were not compared, by reason.
        notes: sentences about what was decided or is missing.
        meaning: how often the words of the matches are wrong, by run.
        query_crops: the crops (H, W, 3) uint8 BGR of the person in the pictures; empty for a person of a run.
        query_track: name of the run, and camera and number of the track that shows the person of a run; None for
            pictures.
        runs: the searched runs by name.
    """

    query: str
    matches: Sequence[Match]
    tracks: int
    people: int
    left_out: Mapping[str, int]
    notes: Sequence[str]
    meaning: Mapping[str, str]
    query_crops: Sequence[NDArray[np.uint8]] = ()
    query_track: tuple[str, tuple[str, int]] | None = None
    runs: Mapping[str, SearchedRun] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        names = ("query", "tracks", "people", "left_out", "meaning")
        content = {name: getattr(self, name) for name in names}
        return {**content, "notes": list(self.notes), "matches": [match.to_dict() for match in self.matches]}


def find(
    runs: str | Path | Sequence[str | Path],
    *,
    images: Sequence[str | Path] = (),
    track: str | None = None,
    person: int | None = None,
    camera: str | None = None,
    whole: bool = False,
    choose: Sequence[int] = (),
    force: bool = False,
    top: int = 10,
    all_tracks: bool = False,
    cameras: Sequence[str] = (),
    begin: Moment | None = None,
    end: Moment | None = None,
    places: Sequence[str] = (),
    config: str | Path | None = None,
    overrides: Mapping[str, Any] = MappingProxyType({}),
    detector: Detector | None = None,
    embedder: Embedder | None = None,
    on_tracks: Callable[[int], None] = lambda count: None,
) -> Found:
    """Find the people in finished runs and live sites who look most like a person.

    The person is given by `images`, `track` or `person`. Embeddings are compared as the linker compares them: with the
    model, the camera means and the match limits of the run. The search is exact, and holds only a few thousand
    embeddings in memory.

    Args:
        runs: output folders of `track` or `mtmc live`, or folders that contain such folders. All must have embeddings
            of the same model.
        images: picture files that show the person: crops, or whole scenes.
        track: CAMERA:TRACK in the first run, which is not compared with itself.
        person: global id in the first run, whose tracks are not compared.
        camera: camera of the run that took the pictures; None if it is another one or unknown.
        whole: whether the pictures are scenes, whatever their shape.
        choose: for the pictures that show several people, in order: the number of the person from the left, from 1.
        force: take each picture as the crop of a person, without a detector.
        top: number of people, or tracks, to return.
        all_tracks: whether to return tracks instead of the nearest track of each person.
        cameras: search only these; all if empty.
        begin, end: search only tracks that were seen in this time: seconds on the clock of the run, or dates, which
            are in UTC without a time zone.
        places: names of the runs to search; all if empty.
        config, overrides: replace the settings that the run recorded, for example if its weights were moved.
        detector, embedder: replace those of the configuration, for runs with models of your own.
        on_tracks: called with the number of tracks that were read so far.

    Raises:
        InputError: a run, a picture or an argument cannot be used; the message says why.
        ValueError: a model returned invalid detections or embeddings.
    """
    if sum((bool(images), track is not None, person is not None)) != 1:
        raise InputError("give one of --image, --track and --id: what to search for")
    if top < 1:
        raise InputError(f"--top {top}: must be at least 1")
    folders = [Path(runs)] if isinstance(runs, str | Path) else [Path(folder) for folder in runs]
    choice = ConfigChoice(None if config is None else Path(config), overrides)
    opened = open_runs(folders, choice, places)
    _check_cameras(opened, cameras)
    notes = [note for run in opened for note in run.notes]
    first = opened[0]
    crops: Sequence[NDArray[np.uint8]] = ()
    if track is not None:
        query = query_of_track(first, track)
    elif person is not None:
        query = query_of_person(first, person)
    else:
        comparing = first.comparing
        models = picture_models(
            comparing.config,
            comparing.embedder_hash,
            first.name,
            detect=not force,
            detector=detector,
            embedder=embedder,
        )
        pictured = picture_query(
            [Path(file) for file in images], models, camera, PictureChoice(whole, choose, force)
        )
        query, crops = pictured.query, pictured.crops
        notes += pictured.notes
    ranking = rank(query, opened, TrackFilter(frozenset(cameras) if cameras else None, begin, end), on_tracks)
    if not len(ranking):
        why = "; ".join(f"{count} {reason}" for reason, count in ranking.left_out.items())
        raise InputError(
            f"there is no track to compare with in {', '.join(run.name for run in opened)}"
            + (f" ({why})" if why else ": it has none, or the filters leave none")
        )
    if len(ranking) > MANY_TRACKS:
        notes.append(f"{len(ranking):,} tracks were compared one by one; nothing was approximated")
    return Found(
        query=query.text,
        matches=matches_of(ranking, opened, top, all_tracks=all_tracks),
        tracks=len(ranking),
        people=ranking.people,
        left_out=ranking.left_out,
        notes=notes,
        meaning={run.name: bands.sentence() for run, bands in zip(opened, ranking.bands, strict=True)},
        query_crops=crops,
        query_track=None if query.shown_by is None else (query.run_name, query.shown_by),
        runs={run.name: run for run in opened},
    )


def matches_of(ranking: Ranking, runs: Sequence[SearchedRun], top: int, *, all_tracks: bool) -> list[Match]:
    """Return the first matches of a ranking.

    Args:
        runs: as in the ranking.
        all_tracks: whether to return tracks instead of the nearest track of each person.
    """
    rows = np.arange(len(ranking)) if all_tracks else ranking.best_of_each_person()
    rows = rows[:top]
    visits = [
        run.visits(
            [
                (run.comparing.camera_ids[ranking.camera[row]], int(ranking.global_id[row]))
                for row in rows
                if ranking.run[row] == number
            ]
        )
        for number, run in enumerate(runs)
    ]
    return [
        _match(ranking, row, place, runs[ranking.run[row]], visits[ranking.run[row]])
        for place, row in enumerate(rows.tolist(), start=1)
    ]


def _match(
    ranking: Ranking, row: int, place: int, run: SearchedRun, visits: Mapping[tuple[str, int], Visit]
) -> Match:
    number = int(ranking.run[row])
    camera_id, person = run.comparing.camera_ids[ranking.camera[row]], int(ranking.global_id[row])
    track_id: int | None = int(ranking.track_id[row]) or None
    start_s, end_s = float(ranking.start_s[row]), float(ranking.end_s[row])
    if (visit := visits.get((camera_id, person))) is not None:
        track_id, start_s, end_s = visit.track_id, visit.start_s, visit.end_s
    of_person = (ranking.run == number) & (ranking.global_id == person)
    return Match(
        rank=place,
        run=run.name,
        camera_id=camera_id,
        track_id=track_id,
        global_id=person,
        final=track_id is None or run.is_final(camera_id, track_id),
        start_s=start_s,
        end_s=end_s,
        start_utc=_date(run, start_s),
        end_utc=_date(run, end_s),
        distance=float(ranking.distance[row]),
        cost=float(ranking.cost[row]),
        meaning=ranking.meaning(row),
        crops=int(ranking.crops[row]),
        more_tracks=int(of_person.sum()) - 1,
        name=run.names.get(person, ""),
    )


def _date(run: SearchedRun, time_s: float) -> datetime | None:
    if run.epoch_utc is None:
        return None
    return (run.epoch_utc + timedelta(seconds=round(time_s, 3))).astimezone(UTC)


def _check_cameras(runs: Sequence[SearchedRun], cameras: Sequence[str]) -> None:
    known = sorted({name for run in runs for name in run.comparing.camera_ids})
    if strange := [name for name in cameras if name not in known]:
        raise InputError(f"--cameras {strange[0]!r}: the cameras are {', '.join(known)}")
