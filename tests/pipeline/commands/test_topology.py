"""`mtmc topology`: its tables, and windows that a configuration takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli import main
from pipeline.config.config import load_config
from pipeline.core.datatypes import LinkedRow
from tests.helpers.stored_runs import live_run, recorded_run, row

NOW_S = 1_777_630_000.0
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; returns its exit code and what it printed."""

    def run_command(*arguments: str | Path) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main(["topology", *map(str, arguments)])
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out + printed.err

    return run_command


def walk(person: int, begin: int, camera: str = "hall", to: str = "yard", pause: int = 30) -> list[LinkedRow]:
    """A person is in one camera for a second, and `pause` frames later in another; ten frames a second."""
    first = [row(person, camera, person, begin + frame) for frame in (0, 10)]
    return first + [row(person, to, person, begin + 10 + pause + frame) for frame in (0, 10)]


def rows(walks: list[list[LinkedRow]]) -> list[LinkedRow]:
    return sorted((one for walk in walks for one in walk), key=lambda one: one.row.time_s)


def twelve_walks() -> list[LinkedRow]:
    """Twelve people from hall to yard in 3.0 to 4.1 s; one of them goes back in 5 s."""
    walks = [walk(person, 100 * person, pause=30 + person - 1) for person in range(1, 13)]
    back = [row(1, "hall", 99, 100 + 10 + 30 + 10 + 50 + frame) for frame in (0, 10)]
    return rows([*walks, back])


def test_the_tables_and_the_windows(tmp_path: Path, run: Run) -> None:
    folder = recorded_run(tmp_path / "run", twelve_walks())
    code, said = run(folder, "--yaml", tmp_path / "windows.yaml")
    assert code == 0
    lines = [line.split() for line in said.splitlines()]
    # 5 %: 3.0 + .05 * 1.1; 95 %: 3.0 + .95 * 1.1; a margin of a second on each side.
    assert ["hall", "yard", "12", "3.0", "3.1", "3.5", "4.0", "4.1", "2", "6"] in lines
    assert ["yard", "hall", "1", "5.0", "5.0", "5.0", "5.0", "5.0", "4", "6", "few"] in lines
    assert ["hall", "and", "yard", "0", "12", "0.0", "0%", "and", "0%"] in lines
    assert "1 of 2 pairs have fewer than 10 transits" in said
    text = (tmp_path / "windows.yaml").read_text()
    assert text == (
        "# Proposed by `mtmc topology` from 25 tracks of 12 people; pairs that are not listed have no limit.\n"
        "linker:\n"
        "  transit_windows:\n"
        "    - {from: hall, to: yard, min_s: 2, max_s: 6, one_way: true}   # 12 transits\n"
        "    # few: - {from: yard, to: hall, min_s: 4, max_s: 6, one_way: true}   # 1 transit\n"
    )
    cameras: dict[str, Any] = {"cameras": [{"name": name, "source": f"{name}.mp4"} for name in ("hall", "yard")]}
    config = load_config(tmp_path / "windows.yaml", cameras)
    (window,) = config.linker.transit_windows
    assert (window.from_camera, window.to_camera, window.min_s, window.max_s) == ("hall", "yard", 2, 6)
    with_few = yaml.safe_load(text.replace("# few: ", ""))
    assert len(load_config(None, with_few | cameras).linker.transit_windows) == 2


def test_without_a_file_the_windows_are_printed(tmp_path: Path, run: Run) -> None:
    _, said = run(recorded_run(tmp_path / "run", twelve_walks()))
    assert "    - {from: hall, to: yard, min_s: 2, max_s: 6, one_way: true}   # 12 transits\n" in said


def test_names_that_yaml_would_take_for_something_else(tmp_path: Path, run: Run) -> None:
    walks = [walk(person, 100 * person, camera="no", to="1.5") for person in range(1, 12)]
    run(recorded_run(tmp_path / "run", rows(walks)), "--yaml", tmp_path / "windows.yaml")
    cameras: dict[str, Any] = {"cameras": [{"name": name, "source": "a.mp4"} for name in ("no", "1.5")]}
    (window,) = load_config(tmp_path / "windows.yaml", cameras).linker.transit_windows
    assert (window.from_camera, window.to_camera) == ("no", "1.5")


def test_ids_of_two_runs_are_different_people(tmp_path: Path, run: Run) -> None:
    """Person 1 of each run: together they would go from hall to yard."""
    one = recorded_run(tmp_path / "one", walk(1, 0, to="stairs"))
    two = recorded_run(tmp_path / "two", walk(1, 5, camera="yard", to="stairs"))
    code, said = run(one, two, one)
    assert code == 0
    assert "4 tracks of 2 people" in said
    assert "transit_windows: []" in said
    assert not any(line.split()[:2] == ["hall", "yard"] for line in said.splitlines())


def test_live_runs_of_a_folder_go_on_with_their_ids(tmp_path: Path, run: Run) -> None:
    """Each run counts its tracks anew."""
    folder = tmp_path / "live"
    live_run(folder, [row(4, "hall", 1, 0, time_s=NOW_S), row(4, "hall", 1, 9, time_s=NOW_S + 1)])
    live_run(
        folder,
        [row(4, "yard", 1, 0, time_s=NOW_S + 6), row(5, "hall", 1, 0, time_s=NOW_S + 6, final=False)],
        run_id="20260501T110000Z-aaaa",
    )
    code, said = run(folder)
    assert code == 0
    assert ["hall", "yard", "1", *["5.0"] * 5, "4", "6", "few"] in [line.split() for line in said.splitlines()]
    assert "warning: 1 of 3 tracks are left out: their id is provisional" in said


def test_a_run_without_final_ids_is_refused(tmp_path: Path, run: Run) -> None:
    code, said = run(recorded_run(tmp_path / "run", [row(1, "hall", 1, 0, final=False)]))
    assert (code, "none of 1 tracks has a final id. `mtmc link` gives final ids" in said) == (2, True)


def test_a_configuration_is_not_replaced(tmp_path: Path, run: Run) -> None:
    folder = recorded_run(tmp_path / "run", twelve_walks())
    (tmp_path / "site.yaml").write_text("cameras: []\n")
    code, said = run(folder, "--yaml", tmp_path / "site.yaml")
    assert (code, "already exists. Use --overwrite to replace it" in said) == (2, True)
    assert (tmp_path / "site.yaml").read_text() == "cameras: []\n"
    assert run(folder, "--yaml", tmp_path / "site.yaml", "--overwrite")[0] == 0
