"""Which moves between cameras are allowed."""

from __future__ import annotations

import numpy as np

from pipeline.cross_camera.settings import TransitWindow
from pipeline.cross_camera.transit import TransitTimes

INF = np.inf


def test_transit_times() -> None:
    windows = [
        TransitWindow(from_camera="a", to_camera="b", min_s=5, max_s=60),
        TransitWindow(from_camera="b", to_camera="c", min_s=-2, max_s=10, one_way=True),
    ]
    transit = TransitTimes(["a", "b", "c"], windows)
    assert transit.min_s.tolist() == [[-INF, 5, -INF], [5, -INF, -2], [-INF, -INF, -INF]]
    assert transit.max_s.tolist() == [[INF, 60, INF], [60, INF, 10], [INF, INF, INF]]
