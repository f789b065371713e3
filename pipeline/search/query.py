"""What is searched for: pictures of a person, or tracks of a run, as embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.datatypes import FloatArray
from pipeline.core.vectors import unit
from pipeline.search.searched_run import Comparing

#: Camera of a picture of which it is not known.
ANY_CAMERA = ""


@dataclass(frozen=True, eq=False)
class QueryView:
    """Embeddings of the person in one camera.

    Attributes:
        camera_id: `ANY_CAMERA` if it is not known.
        embeddings: (K, D) float32, L2-normalised, at least one.
    """

    camera_id: str
    embeddings: FloatArray


@dataclass(frozen=True, eq=False)
class QueryVector:
    """A query as it is compared with the tracks of one run.

    Attributes:
        mean: (D,) float32, of length 1.
        weight: share of a camera mean that was subtracted, in [0, 1].
        crops: number of embeddings.
    """

    mean: FloatArray
    weight: float
    crops: int


@dataclass(frozen=True, eq=False)
class Query:
    """A person to search for.

    Attributes:
        views: at least one.
        at: how the run of the views compares, whose camera means are subtracted; None for pictures, which are compared
            with each run by the means of that run.
        text: says what the query is, for the user.
        run_name: name of the run of the query; empty for pictures.
        track: (camera, track id) in that run that is the query itself, and is not searched.
        person: global id in that run that is the query itself.
        shown_by: (camera, track id) of a track in that run that shows the person; None for pictures and live sites.
    """

    views: Sequence[QueryView]
    text: str
    at: Comparing | None = None
    run_name: str = ""
    track: tuple[str, int] | None = None
    person: int | None = None
    shown_by: tuple[str, int] | None = None

    def against(self, comparing: Comparing) -> QueryVector:
        """Return the query as it is compared with the tracks of a run."""
        by = self.at or comparing
        means = [by.centred_mean(view.embeddings, view.camera_id) for view in self.views]
        weights = [by.centres.weight(by.camera_row(view.camera_id)) for view in self.views]
        return QueryVector(
            mean=unit(np.sum(means, axis=0, dtype=np.float32)),
            weight=float(np.mean(weights)),
            crops=sum(len(view.embeddings) for view in self.views),
        )
