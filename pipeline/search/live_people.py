"""Searches among the people whom a running live run knows, for its web page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.config.config import Config
from pipeline.core.errors import InputError
from pipeline.cross_camera.gallery import Gallery
from pipeline.live.web.search_queue import SearchRequest
from pipeline.search.find import matches_of
from pipeline.search.live_site import gallery_block, gallery_comparing
from pipeline.search.pictures import (
    NobodyFound,
    PictureChoice,
    PictureModels,
    SeveralPeople,
    images_query,
    picture_models,
)
from pipeline.search.ranking import TrackFilter, rank
from pipeline.search.searched_run import Block, Comparing, Visit
from pipeline.sources.images import decode_image

# Pictures of phones have up to 50 megapixels, but decoding those takes memory from tracking.
_MAX_PICTURE_PX = 25_000_000
_TOP = 12


class LivePeopleSearch:
    """Implements `pipeline.live.web.search_queue.Search`; used by one thread.

    The models are its own, because those of the run are in use, and are loaded by the first search.

    Args:
        config_of: returns the configuration of the run.
        people_of: returns a copy of the people whom the run knows.
        embedder_hash: of the model of the run.
        models: those to use, for tests.
    """

    def __init__(
        self,
        config_of: Callable[[], Config],
        people_of: Callable[[], Gallery],
        embedder_hash: str,
        models: PictureModels | None = None,
    ) -> None:
        self._config_of = config_of
        self._people_of = people_of
        self._embedder_hash = embedder_hash
        self._models = models

    def __call__(self, request: SearchRequest) -> Mapping[str, Any]:
        """Return `matches`, `notes`, `people` and `meaning`, or `choose` with the boxes of several people.

        Raises:
            InputError: the picture cannot be used; the message says why.
        """
        image = decode_image(request.data, "the picture", _MAX_PICTURE_PX)
        if image is None:
            raise InputError("the file is not a picture, or is cut off")
        config = self._config_of()
        if self._models is None:
            self._models = picture_models(config, self._embedder_hash, "this run", detect=True)
        choice = PictureChoice(persons=[] if request.person is None else [request.person])
        try:
            pictured = images_query([("the picture", image)], self._models, request.camera_id, choice)
        except NobodyFound as error:
            raise InputError("no person is found in the picture") from error
        except SeveralPeople as error:
            return {"choose": error.boxes.round().astype(int).tolist(), "size": [image.shape[1], image.shape[0]]}
        site = _KnownPeople(self._people_of(), self._embedder_hash, config)
        ranking = rank(pictured.query, [site], TrackFilter())
        return {
            "matches": [match.to_dict() for match in matches_of(ranking, [site], _TOP, all_tracks=False)],
            "people": ranking.people,
            "notes": list(pictured.notes),
            "meaning": ranking.bands[0].sentence() if ranking.people else "nobody is known yet",
        }


class _KnownPeople:
    """Implements `SearchedRun` for identities in memory."""

    def __init__(self, gallery: Gallery, embedder_hash: str, config: Config) -> None:
        self.name, self.folder = "this run", Path()
        self.notes: list[str] = []
        self.names: Mapping[int, str] = {}
        self.epoch_utc: datetime | None = datetime.fromtimestamp(0, UTC)
        self.comparing: Comparing = gallery_comparing(gallery, embedder_hash, config)
        self._gallery = gallery

    def blocks(self) -> Iterator[Block]:
        yield gallery_block(self._gallery, self.comparing.centres)

    def is_final(self, camera_id: str, track_id: int) -> bool:
        return True

    def visits(self, people: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Visit]:
        return {}

    def camera_sources(self) -> Mapping[str, str]:
        return {}
