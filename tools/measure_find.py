"""Measures `mtmc find` on made runs: `python tools/measure_find.py FOLDER`. It prints the table of docs/find.md.

The first run in FOLDER is written, the others are hard links to its files: a million tracklets need no more disk than
the first run. Each measurement is a process of its own, with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from pipeline.config.config import load_config
from pipeline.core.datatypes import Link, LinkedRow, Tracklet, TrajectoryRow
from pipeline.core.vectors import unit
from pipeline.cross_camera.distances import embedding_distances
from pipeline.files.results_csv import TrajectoryWriter
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter
from pipeline.search.find import find

FILES = ("tracklets.arrow", "trajectories.csv", "run.json")
CAMERAS = tuple(f"cam{number}" for number in range(8))
EMBEDDINGS, VALUES = 8, 384  # of a tracklet, and of an embedding of the default model
TRACKLETS_OF_A_PERSON = 10
BLOCK = 2048  # tracks that are compared at a time


def make_run(folder: Path, tracklets: int) -> None:
    """Write a run whose people each have an appearance, seen from eight cameras."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    limits = {"max_cosine_distance": 0.4, "max_centred_cosine_distance": 0.6}
    settings = {
        "cameras": [{"name": name, "source": f"{name}.mp4"} for name in CAMERAS],
        "embedder": {"weights": None},
        "tracker": {"max_cosine_distance": 0.4},
        "linker": limits,
        "second_pass": limits,
    }
    config = load_config(None, settings).model_dump(mode="json", by_alias=True)
    note = {
        "state": "complete",
        "epoch_utc": None,
        "cameras": {name: {"path": f"{name}.mp4"} for name in CAMERAS},
        "config": config,
    }
    info = TrackletFileInfo(CAMERAS, {0: "person"}, "made")
    none = np.zeros(0)
    with (
        TrajectoryWriter(folder, list(CAMERAS), None) as rows,
        TrackletWriter(folder / FILES[0], info) as file,
    ):
        for number in range(tracklets):
            if number % TRACKLETS_OF_A_PERSON == 0:
                person = rng.standard_normal(VALUES, np.float32)
            embeddings = unit(person + rng.standard_normal((EMBEDDINGS, VALUES), np.float32))
            camera, track_id, begin_s = CAMERAS[number % len(CAMERAS)], number // len(CAMERAS) + 1, float(number)
            file.write(
                Tracklet(
                    camera, track_id, 0, begin_s, begin_s + 5, embeddings, none, np.zeros((0, 2)), observations=50
                )
            )
            row = TrajectoryRow(camera, track_id, number, begin_s, "person", (0.0, 0.0, 50.0, 150.0), 0.9)
            rows.write(LinkedRow(row, Link(number // TRACKLETS_OF_A_PERSON + 1, 0.9, True)))
    (folder / FILES[2]).write_text(json.dumps(note))


def own_memory_bytes() -> int:
    """Memory of this process without the file that is mapped, which the system can take away at any time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def measure(runs: list[Path]) -> dict[str, float]:
    """Search all runs for a track of the first one; times in s of the processor."""
    peak, done = [own_memory_bytes()], threading.Event()
    before = peak[0]

    def watch() -> None:
        while not done.wait(0.1):
            peak.append(own_memory_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began_s, wall_s = time.process_time(), time.perf_counter()
    found = find(list(runs), track=f"{CAMERAS[0]}:1", all_tracks=True, top=9)
    took_s, wall_s = time.process_time() - began_s, time.perf_counter() - wall_s
    done.set()
    watcher.join()
    peak.append(own_memory_bytes())
    means = unit(np.random.default_rng(1).standard_normal((BLOCK, VALUES), np.float32))
    began_s = time.process_time()
    distances = [embedding_distances(means[:1], means)[0] for _ in range(0, found.tracks, BLOCK)]
    np.argsort(np.concatenate(distances), kind="stable")
    comparing_s = time.process_time() - began_s
    megabyte = 1e6
    return {
        "tracks": found.tracks,
        "processor_s": took_s,
        "wall_s": wall_s,
        "comparing_s": comparing_s,
        "own_memory_mb": (max(peak) - before) / megabyte,
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / megabyte,
        "files_mb": sum((run / name).stat().st_size for run in runs for name in FILES) / megabyte,
    }


def main() -> None:
    """Make what is missing in the folder, and print a line of the table for one run and for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracklets", type=int, default=100_000, help="of a run")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    runs = [arguments.folder / f"run{number}" for number in range(arguments.runs)]
    if arguments.measure:
        print(json.dumps(measure(runs[: arguments.measure])))
        return
    if not (runs[0] / FILES[2]).is_file():
        make_run(runs[0], arguments.tracklets)
    for run in runs[1:]:
        run.mkdir(exist_ok=True)
        for name in FILES:
            if not (run / name).exists():
                os.link(runs[0] / name, run / name)
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    print("| tracklets | files | processor | of which comparing | own memory |\n|---|---|---|---|---|")
    for count in (1, arguments.runs):
        command = [sys.executable, __file__, str(arguments.folder), "--measure", str(count)]
        command += ["--runs", str(arguments.runs)]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **one_thread}
        )
        figures = json.loads(done.stdout.splitlines()[-1])
        print(
            "| {tracks:,.0f} | {files_mb:,.0f} MB | {processor_s:.1f} s | {comparing_s:.2f} s |"
            " {own_memory_mb:,.0f} MB |  wall {wall_s:.1f} s, resident {resident_mb:,.0f} MB".format(**figures),
            flush=True,
        )


if __name__ == "__main__":
    main()
