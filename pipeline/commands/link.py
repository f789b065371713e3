"""`mtmc link`: links the cameras of one finished run again, or those of several, using their tracklets."""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.assembly import match_limits
from pipeline.association.build import build_second_pass
from pipeline.commands.arguments import ConfigOption, OverwriteOption, SetOption, overrides_of
from pipeline.config.calibration import with_numbers
from pipeline.config.config import Config, load_config
from pipeline.core.errors import InputError
from pipeline.core.yaml_file import merge
from pipeline.counting.events_file import write_events
from pipeline.cross_camera.fragments import fragments
from pipeline.cross_camera.second_pass_log import SecondPassLog
from pipeline.cross_camera.settings import check_windows
from pipeline.files.decision_file import left_out_tracks, rewrite_second_pass
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import (
    DECISIONS_NAME,
    EVENTS_NAME,
    MERGING_NAME,
    NOTE_NAME,
    clear_results,
    hold_results,
    is_reviewed,
    reports,
)
from pipeline.files.tracklet_file import TrackletFile, read_info
from pipeline.files.whole_files import SHARED_MODE
from pipeline.recorded.count_run import count_run
from pipeline.recorded.countable_run import countable_run
from pipeline.recorded.finalize import rewrite
from pipeline.recorded.merge_runs import merge_runs, open_parts
from pipeline.recorded.missing_tracklets import joined_as_online, rebuilt_tracklets, tracks_in
from pipeline.recorded.run_note import EarlierNote
from pipeline.recorded.run_summary import FRAGMENT_TEXT, counted

_log = logging.getLogger(__name__)


def link(
    folders: Annotated[
        list[Path], typer.Argument(help="Output folder of `track`; several become one run.", metavar="DIR...")
    ],
    config: ConfigOption = None,
    settings: SetOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of changing DIR.", metavar="DIR")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Link the cameras again with other settings, or the cameras of several runs, without decoding and without models.

    Also gives final ids to a run that was interrupted or killed: tracks that had not ended are linked by their floor
    positions and online ids. Settings that are not given with --set come from --config, or else from the run.json of
    the run.

    Several runs of single cameras, or of parts of a site, become one run: --output gets what one run of all cameras
    would have written. The runs need the same models and settings, and different names of cameras. If the recordings
    are dated (cameras.start_utc), times count from the earliest one; otherwise all begin at the same moment.

    Examples:

        mtmc link results --set second_pass.max_cosine_distance=0.3 --output results-strict

        mtmc link entrance hall garden --output site
    """
    for folder in folders:
        _refuse_reviewed(folder)
    if len(folders) > 1:
        _link_several(folders, config, settings, output, overwrite)
        return
    (folder,) = folders
    if not (folder / "tracklets.arrow").is_file() or not (folder / "trajectories.csv").is_file():
        raise InputError(f"{folder} holds no results of `track` (trajectories.csv and tracklets.arrow)")
    target = output or folder
    in_place = target.resolve() == folder.resolve()
    if in_place and not overwrite:
        raise InputError(
            f"{folder / 'trajectories.csv'} already exists. Use --overwrite to replace it, or another --output"
        )
    with ExitStack() as held:
        locked = in_place or _is_writable(folder)
        if locked:
            held.enter_context(hold_results(folder, "mtmc link"))

        def prepare() -> None:
            if not in_place:
                held.enter_context(hold_results(target, "mtmc link"))
                clear_results(target, overwrite)

        named = str(folder / "tracklets.arrow")
        _link(
            folder,
            target,
            config,
            settings,
            named=named,
            left_out=left_out_tracks(folder / DECISIONS_NAME),
            prepare=prepare,
            locked=locked,
        )


def _refuse_reviewed(folder: Path) -> None:
    if is_reviewed(folder):
        raise InputError(
            f"{folder} was corrected with `mtmc review`, and linking again would lose the corrections: give them up "
            f"with `mtmc review {folder} --revert` first, or revert and link a copy"
        )


def _link_several(
    folders: Sequence[Path],
    config: Path | None,
    settings: Sequence[str] | None,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Merge several runs into one, and link all its cameras."""
    if output is None:
        raise InputError(f"{len(folders)} runs become one: name its folder with --output")
    if any(output.resolve() == folder.resolve() for folder in folders):
        raise InputError(f"{output} is one of the runs: choose another --output")
    with ExitStack() as held:
        parts = open_parts(folders, other_settings=config is not None)
        for folder in folders:
            if _is_writable(folder):
                held.enter_context(hold_results(folder, "mtmc link"))
        held.enter_context(hold_results(output, "mtmc link"))
        clear_results(output, overwrite)
        merged = output / MERGING_NAME
        held.callback(shutil.rmtree, merged, ignore_errors=True)
        merged.mkdir()
        not_merged = merge_runs(parts, merged)
        named = "the tracklets.arrow of the runs"
        still = set().union(*(left_out_tracks(folder / DECISIONS_NAME) for folder in folders))
        _link(merged, output, config, settings, named=named, left_out=still, prepare=lambda: None, locked=True)
    console = Console(markup=False, soft_wrap=True)
    if not any(part.note.epoch_utc for part in parts):
        console.print(
            "The recordings have no date (cameras.start_utc): all are taken to begin at the same moment."
        )
    if not_merged:
        console.print(f"Not in {output}, because it belongs to the single runs: {', '.join(not_merged)}")


def _is_writable(folder: Path) -> bool:
    """Return whether the folder needs a lock: without write permission it cannot have one."""
    return os.access(folder, os.W_OK)


def _link(
    folder: Path,
    target: Path,
    config: Path | None,
    settings: Sequence[str] | None,
    *,
    named: str,
    left_out: Collection[tuple[str, int]],
    prepare: Callable[[], None],
    locked: bool,
) -> None:
    """Link the run in `folder` and write the result into `target`, which may be the same folder.

    Args:
        named: name of the file of tracklets, for messages.
        left_out: tracks that the runs left out because they never moved.
        prepare: called before anything is written into `target`.
        locked: whether no other command can be writing into `folder`.
    """
    tracklet_file = folder / "tracklets.arrow"
    info = read_info(tracklet_file)
    note = EarlierNote(folder / NOTE_NAME)
    loaded = load_config(config, overrides_of(settings)) if config else _config_of(note, folder, settings)
    camera_ids = list(info.camera_ids)
    check_windows(loaded.linker.transit_windows, camera_ids)
    limits = match_limits(loaded, info.embedder_hash)
    # Their rows are in the file only if the run did not reach its end.
    tracks = {
        key: track
        for key, track in tracks_in(read_trajectories(folder / "trajectories.csv"), camera_ids).items()
        if key not in left_out
    }
    class_of, described = {}, set()
    for tracklet in TrackletFile(tracklet_file):
        class_of[tracklet.key] = info.class_names[tracklet.class_id]
        if tracklet.good_crops:
            described.add(tracklet.key)
    rebuilt = rebuilt_tracklets(tracks, class_of, info.class_names)
    if rebuilt:
        _log.warning(
            "%d of %d tracks are not in %s, because the run was killed or the file is damaged: they are linked "
            "without embeddings, by floor positions and online ids",
            len(rebuilt),
            len(tracks),
            named,
        )
    log = SecondPassLog() if loaded.output.save_decisions else None
    second_pass = build_second_pass(loaded, limits, camera_ids, log)
    links = second_pass.link(TrackletFile(tracklet_file, rebuilt))
    if rebuilt:
        class_of |= {tracklet.key: tracks[tracklet.key].class_name for tracklet in rebuilt}
        links = joined_as_online(links, [tracklet.key for tracklet in rebuilt], tracks)
    prepare()
    if target.resolve() != folder.resolve():
        shutil.copyfile(tracklet_file, target / "tracklets.arrow")
    events_file = target / EVENTS_NAME
    counted_before = events_file.is_file()
    events_file.unlink(missing_ok=True)  # its ids would be old ones
    rows = rewrite(
        folder,
        links,
        camera_ids=camera_ids,
        epoch_utc=note.epoch_utc,
        interpolate_max_gap_s=loaded.output.fill_gaps_s,
        index_steps=note.index_steps,
        left_out=left_out,
        output=target,
    )
    if log is not None:
        rewrite_second_pass(folder / DECISIONS_NAME, target / DECISIONS_NAME, log.decisions(links))
    else:
        (target / DECISIONS_NAME).unlink(missing_ok=True)  # its ids would be old ones
    stale = reports(target)
    for path in stale:
        path.unlink()
    people = Counter({link.global_id: class_of[key] for key, link in links.items()}.values())
    # It is not known whether a rebuilt track had good crops.
    known = described | {tracklet.key for tracklet in rebuilt}
    loose = Counter(class_of[key] for key in fragments(links, known))
    note.write_linked(
        target / NOTE_NAME,
        with_numbers(loaded, limits),
        global_ids=people,
        fragments=loose,
        rows=rows,
        tracks=Counter(camera_id for camera_id, _ in links),
        forgotten=asdict(second_pass.forgotten),
        # Its writer would hold the lock.
        killed=locked and note.running,
    )
    at_zones = None
    if loaded.zones or loaded.lines:
        run = countable_run(target, finished=False)
        at_zones = count_run(run, loaded.zones, loaded.lines, loaded.counting)
        write_events(events_file, at_zones.events, run.epoch_utc, mode=SHARED_MODE)
    elif counted_before:
        _log.warning("%s was deleted, because its ids were old ones: `mtmc count` writes it again", events_file)
    console = Console(markup=False)
    console.print(
        f"{len(links)} tracks of {len(camera_ids)} cameras are {counted(people, loose)}; {rows} rows in "
        f"{target / 'trajectories.csv'}" + (f"; {FRAGMENT_TEXT}" if loose else "")
    )
    if left_out:
        told = "1 track is" if len(left_out) == 1 else f"{len(left_out)} tracks are"
        console.print(f"{told} left out because {'it' if len(left_out) == 1 else 'they'} never moved")
    if stale:
        console.print(
            f"Deleted {', '.join(path.name for path in stale)}, which showed the old ids: `mtmc report {target}` "
            "writes a new one",
            soft_wrap=True,
        )
    if at_zones is not None:
        console.print(at_zones.tables())
        console.print(f"{len(at_zones.events)} events are in {events_file}")


def _config_of(note: EarlierNote, folder: Path, settings: Sequence[str] | None) -> Config:
    """Return the configuration of the run in `folder`, with some settings changed."""
    overrides = overrides_of(settings)
    try:
        load_config(None, note.linking)
    except InputError as error:
        raise InputError(
            f"{folder / NOTE_NAME} holds a configuration that this version cannot use ({error}): give --config"
        ) from error
    return load_config(None, merge(note.linking, overrides))
