"""The table fits the terminal, and shows what needs attention."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.live.telling.status import CameraState, LiveStatus
from pipeline.live.telling.status_table import camera_line, status_line, status_table
from tests.helpers.live.examples import make_camera, make_status


def shown(status: LiveStatus, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    with console.capture() as capture:
        console.print(status_table(status, width, height))
    return capture.get().splitlines()


def failing(number: int) -> object:
    return make_camera(
        f"entrance-{number:02}", state=CameraState.WAITING, problem="nothing listens there (Connection refused)"
    )


@pytest.mark.parametrize("size", [(80, 24), (80, 40), (100, 30), (132, 40), (200, 60), (40, 10)])
@pytest.mark.parametrize("cameras", [1, 3, 12, 31, 90])
def test_the_table_fits_and_the_last_line_is_the_status_of_the_run(size: tuple[int, int], cameras: int) -> None:
    width, height = size
    status = make_status(
        *(failing(number) for number in range(cameras)),
        writer_ok=False,
        writer_problem="No space left on device",
    )
    lines = shown(status, width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert "No space left on device" in " ".join(lines[-4:])
    counted = [line for line in lines if " more cameras: " in line]
    visible = sum("entrance-" in line for line in lines)
    if visible < cameras and height >= 24:
        assert counted == [f"and {cameras - visible} more cameras: {cameras - visible} waiting"]


def test_people_who_were_forgotten_because_there_were_too_many_are_told() -> None:
    status = make_status(make_camera(), identities_most=900, identities_forgotten={"unseen": 3, "surplus": 5})
    assert "5 people forgotten, because more than 900 are known: see linker.max_identities" in status_line(status)
    assert "forgotten" not in status_line(make_status(make_camera(), identities_forgotten={"unseen": 3}))


def test_at_80_columns_names_and_problems_can_be_read() -> None:
    lines = shown(make_status(make_camera("entrance"), failing(1)), 80, 24)
    text = "\n".join(lines)
    assert "entrance-01" in text
    assert "waiting" in text
    assert "nothing listens there" in text


def test_cameras_that_work_are_left_out_first() -> None:
    up = [make_camera(f"up-{number}") for number in range(30)]
    lines = shown(make_status(*up[:20], failing(1), *up[20:]), 80, 24)
    assert any("entrance-01" in line for line in lines)
    assert any(line.startswith("and ") and line.endswith(" up") for line in lines)


def test_the_line_says_median_and_99_percent_and_problems_first() -> None:
    status = make_status(make_camera(), stuck="the detector has not returned for 12 s")
    assert status_line(status).startswith("STUCK: the detector has not returned for 12 s; 2 people in view")
    assert "0.40 s after capture (99 %: 0.70 s)" in status_line(status)


@pytest.mark.parametrize(
    ("changes", "style"),
    [({}, ""), ({"stuck": "the detector hangs"}, "bold red"), ({"writer_ok": False}, "bold red")],
)
def test_a_run_that_does_not_go_on_is_red(changes: dict[str, object], style: str) -> None:
    assert status_table(make_status(make_camera(), **changes), 80, 24).renderables[-1].style == style


def test_a_camera_says_what_arrives_and_what_is_used() -> None:
    assert camera_line(make_camera(used_fps=4.9)) == "entrance up 9.8 fps, 4.9 used"


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
    status = make_status(make_camera(), identities_by_class=by_class)
    assert status_line(status).startswith(said + ";")
    table = "\n".join(shown(status, 100, 24))
    assert (" people " in table.partition("entrance")[0]) == ("people" in said)
