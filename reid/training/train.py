"""Training a TransReID: configuration and data set in, checkpoint, log and plot out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console

from pipeline.core.errors import InputError
from reid.datasets import ReidDataset, read_dataset, unreadable_images
from reid.training.config import SetConfig, TrainingConfig
from reid.training.data import ONLY_SET, Parts, set_configs, used_images
from reid.training.distributed import ONE_PROCESS, Processes
from reid.training.state import STATE_NAME, load_state
from reid.training.teacher import Teacher, refuse_other_teachers
from reid.training.trainer import Trainer


def train(
    config: TrainingConfig,
    *,
    data: Mapping[str, Path],
    folder: Path,
    init: str | Path | None = None,
    teachers: Sequence[Teacher] = (),
    resume: bool = False,
    teacher_folder: Path | None = None,
    device: torch.device,
    console: Console,
    processes: Processes = ONE_PROCESS,
    on_iteration: Callable[[int], None] = lambda iteration: None,
) -> Trainer:
    """Train with `config` on the data sets at `data`; write everything to `folder`.

    Args:
        data: folders by the names of the configuration's data sets; a single one by `ONLY_SET`.
        init: weights to start from, see `reid.training.start`; None for random ones.
        teachers: networks to learn from, see `reid.training.teacher`.
        resume: continue from the state in `folder`; `init` is then ignored.
        teacher_folder: where the features of the teachers are kept, for several trainings on the same data sets; None
            for `folder`.
        processes: processes that train together, all with the same arguments and a shared folder.
        on_iteration: see `Trainer.run`.

    Raises:
        InputError: an error in configuration, data, weights or folder that the user can fix.
        RunError: the run diverged.
    """
    _check_state(folder, resume, has_state=processes.from_first((folder / STATE_NAME).exists()))
    settings = set_configs(config.data)
    _check_names(settings, data)
    datasets = {name: read_dataset(data[name], one.layout) for name, one in settings.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {folder} cannot be a folder: {error.strerror}") from error
    state = load_state(folder, device) if resume else None
    if state is not None:  # before building the trainer, which would first embed all crops with the wrong teacher
        refuse_other_teachers(state, teachers, folder / STATE_NAME)
    if state is None:
        left_out = processes.from_first(_unreadable(datasets, config, console) if processes.is_first else [])
    else:
        left_out = [datasets[name].root / path for name, _, path in (x.partition(":") for x in state["left_out"])]
    trainer = Trainer(
        config,
        datasets,
        folder,
        device,
        teachers,
        left_out=left_out,
        teacher_folder=teacher_folder,
        processes=processes,
        console=console,
    )
    for dataset in datasets.values():
        for note in dataset.notes:
            console.print(note)
    console.print(_said_of_crops(trainer))
    for line in _unmeasured(trainer.parts):
        console.print(line, style="yellow", soft_wrap=True)
    if state is not None:
        trainer.load_state_dict(state)
        if processes.is_first:
            trainer.log.cut_after(iteration=trainer.iteration, epoch=trainer.epoch)
        console.print(f"resumed after batch {trainer.iteration}")
    elif processes.is_first:  # the other processes receive the weights of the first
        for line in [] if init is None else trainer.start_from(init):
            console.print(line)
        trainer.log.clear()
        trainer.save()
    trainer.run(console, on_iteration)
    return trainer


def _check_state(folder: Path, resume: bool, *, has_state: bool) -> None:
    if resume and not has_state:
        raise InputError(f"{folder}: nothing to resume, there is no {STATE_NAME}; start without --resume")
    if has_state and not resume:
        raise InputError(f"{folder}: already holds a run; continue it with --resume or name another folder")


def _said_of_crops(trainer: Trainer) -> str:
    known = trainer.parts.known
    unknown = len(trainer.parts.train) - len(known)
    return (
        f"{len(known)} crops of {len(known.person_ids)} people"
        f"{f' and {unknown} without identities' if unknown else ''} from {len(trainer.parts.cameras)} cameras; "
        f"{trainer.iterations} batches in {trainer.config.schedule.epochs} epochs"
    )


def _unmeasured(parts: Parts) -> list[str]:
    """Return what is not measured during training, because nobody is held out and there are no queries."""
    sets = [part for part in parts.sets if part.identities and not part.draws]
    if not sets:
        return []
    if any(part.draws for part in parts.sets):
        names = ", ".join(part.name for part in sets)
        return [f"{names}: not measured during training, because development_ids is 0: all people are trained on"]
    return [
        "nothing is measured during training, because development_ids is 0: all people are trained on, and the log "
        "contains only losses. Measure on other people with mtmc reid evaluate"
    ]


def _check_names(settings: Mapping[str, SetConfig], data: Mapping[str, Path]) -> None:
    """Raise InputError unless there is exactly one folder for each data set."""
    if settings.keys() == data.keys():
        return
    if ONLY_SET in settings:
        raise InputError("--data NAME=FOLDER needs data.sets in the configuration, which states the share of NAME")
    wanted = ", ".join(f"--data {name}=FOLDER" for name in settings)
    given = ", ".join(name or "a folder without a name" for name in data)
    raise InputError(f"the configuration's data.sets need {wanted}; given are {given}")


def _unreadable(datasets: Mapping[str, ReidDataset], config: TrainingConfig, console: Console) -> list[Path]:
    """Return the images to leave out; raise InputError if there are any and the configuration refuses them."""
    faults = unreadable_images(used_images(datasets, config.data))
    if faults and config.data.corrupt_images == "refuse":
        more = f" (and {len(faults) - 1} more such files)" if len(faults) > 1 else ""
        raise InputError(f"{faults[0][1]}{more}, or set data.corrupt_images to skip")
    for _, error in faults:
        console.print(f"skipped {error}", style="yellow", markup=False, soft_wrap=True)
    return [path for path, _ in faults]
