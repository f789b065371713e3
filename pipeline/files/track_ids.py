"""Reads the global id of each track from trajectories.csv, without keeping its rows."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.files.csv_rows import CsvRows
from pipeline.files.results_csv import whole_lines

_NEEDED = ("camera_id", "track_id", "global_id")


@dataclass(eq=False)
class TrackIds:
    """The newest global id of each track of a run.

    Attributes:
        of_camera: camera -> track id -> global id.
        provisional: (camera, track id) of the tracks whose id may still change.
    """

    of_camera: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    provisional: set[tuple[str, int]] = field(default_factory=set)

    def of(self, camera_id: str, track_id: int) -> int | None:
        """Return the global id of a track; None if the file has no row of it."""
        return self.of_camera.get(camera_id, {}).get(track_id)


def read_track_ids(path: Path) -> TrackIds:
    """Read the ids of all tracks in a trajectories.csv; an incomplete last line is left out.

    Raises:
        InputError: the file cannot be read, has no such columns, or an id is not a number.
    """
    found = TrackIds()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = CsvRows(whole_lines(file))
            header = next(reader, [])
            if missing := [name for name in _NEEDED if name not in header]:
                raise InputError(
                    f"{path}: the header has no column {', '.join(missing)}. Give the output folder of `mtmc track`"
                )
            camera, track, person = (header.index(name) for name in _NEEDED)
            state = header.index("link_state") if "link_state" in header else None
            for fields in reader:
                if not fields:
                    continue
                try:
                    key = fields[camera], int(fields[track])
                    found.of_camera[key[0]][key[1]] = int(fields[person])
                    final = state is not None and fields[state] == "final"
                except (ValueError, IndexError) as error:
                    raise InputError(
                        f"{path}, line {reader.line_num}: its ids cannot be read. Correct or remove the row"
                    ) from error
                (found.provisional.discard if final else found.provisional.add)(key)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not CSV text in UTF-8 ({error})") from error
    return found
