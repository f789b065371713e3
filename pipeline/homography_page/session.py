"""What the page works on: pairs of points, their fit, and the file that they are saved to."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.floor.fit_homography import Array, fit_homography, floor_grid_px, read_pairs, write_pairs
from pipeline.homography_page.pictures import PagePicture

_MOST_PAIRS = 1000


@dataclass(frozen=True, eq=False)
class Pairs:
    """Points in the picture in px and on the floor in metres, (N, 2) each."""

    image_px: Array
    floor_m: Array

    @classmethod
    def of(cls, rows: object) -> Pairs:
        """Return pairs from what a browser sent: lists of image x, y and floor x, y.

        Raises:
            InputError: it is something else, or a number is not finite.
        """
        if not isinstance(rows, list) or len(rows) > _MOST_PAIRS or not all(map(_is_pair, rows)):
            raise InputError(f"expected up to {_MOST_PAIRS} pairs of four finite numbers")
        table = np.array(rows, np.float64).reshape(-1, 4)
        return cls(table[:, :2], table[:, 2:])

    @property
    def rows(self) -> list[list[float]]:
        """The pairs as lists of four numbers."""
        return [[float(value) for value in row] for row in np.column_stack([self.image_px, self.floor_m])]


def _is_pair(row: object) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 4
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in row)
        and all(abs(value) <= 1e15 and math.isfinite(value) for value in row)
    )


class Session:
    """The pairs of one picture.

    Args:
        plan: a plan of the floor, None for typed positions only.
        plan_scale: metres per pixel of the plan; None if it is still to be measured.
        file: the pairs are read from it if it exists, and saved to it.
        max_error_m: pairs with a larger error are left out of the fit; None uses all.

    Attributes:
        finished: set when the user has ended the page.
        saved: whether the pairs were saved.

    Raises:
        InputError: the file exists but cannot be read.
    """

    def __init__(
        self,
        picture: PagePicture,
        plan: PagePicture | None,
        plan_scale: float | None,
        file: Path,
        max_error_m: float | None,
    ) -> None:
        self.picture = picture
        self.plan = plan
        self.plan_scale = plan_scale
        self.file = file
        self.finished = threading.Event()
        self.saved = False
        self._max_error_m = max_error_m
        self._pairs = Pairs(*read_pairs(file)) if file.exists() else Pairs.of([])

    def state(self) -> dict[str, Any]:
        """Return what the page needs first."""
        return {
            "picture": {"name": self.picture.name, "size_wh": self.picture.size_wh},
            "plan": None if self.plan is None else {"name": self.plan.name, "size_wh": self.plan.size_wh},
            "plan_scale": self.plan_scale,
            "file": str(self.file),
            "pairs": self._pairs.rows,
        }

    def fit(self, rows: object) -> dict[str, Any]:
        """Return the fit to some pairs, as `mtmc homography --pairs` computes it, or why there is none.

        Raises:
            InputError: `rows` are no pairs.
        """
        pairs = Pairs.of(rows)
        try:
            fit = fit_homography(pairs.image_px, pairs.floor_m, max_error_m=self._max_error_m)
        except InputError as error:
            return {"problem": str(error)}
        return {
            "error_m": fit.error_m.tolist(),
            "error_px": fit.error_px.tolist(),
            "used": fit.used.tolist(),
            "summary": fit.summary,
            "warnings": fit.warnings(pairs.floor_m),
            "yaml": fit.yaml,
            "grid_px": [_finite(line) for line in floor_grid_px(fit.matrix, pairs.floor_m)],
        }

    def save(self, rows: object, plan_scale: object) -> dict[str, Any]:
        """Write pairs to the file.

        Raises:
            InputError: `rows` are no pairs.
            RunError: the file cannot be written.
        """
        pairs = Pairs.of(rows)
        write_pairs(self.file, pairs.image_px, pairs.floor_m)
        self._pairs = pairs
        self.saved = True
        if isinstance(plan_scale, int | float) and math.isfinite(plan_scale) and plan_scale > 0:
            self.plan_scale = float(plan_scale)
        return {"file": str(self.file), "pairs": len(pairs.image_px)}

    @property
    def pairs(self) -> Pairs:
        """The pairs that were read or saved last."""
        return self._pairs


def _finite(line: Array) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in line.tolist() if math.isfinite(x) and math.isfinite(y)]
