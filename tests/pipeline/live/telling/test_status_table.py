"""The status of a live run in words."""

from __future__ import annotations

import pytest

from pipeline.live.telling.status_table import status_line
from tests.helpers.live.examples import make_status


@pytest.mark.parametrize(
    ("by_class", "said"),
    [
        ({}, "2 people in view, 7 so far"),
        ({"person": 7}, "2 people in view, 7 so far"),
        ({"person": 4, "car": 3}, "2 objects in view, 7 so far (car 3, person 4)"),
        ({"car": 7}, "2 objects in view, 7 so far (car 7)"),
    ],
)
def test_only_people_are_called_people(by_class: dict[str, int], said: str) -> None:
    assert status_line(make_status(identities_by_class=by_class)).startswith(said + ";")
