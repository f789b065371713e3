"""Reading of state dicts from files, without running code that a file contains."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.core.errors import InputError

StateDict = dict[str, Tensor]

#: Keys under which training programs store the state dict; of DINO's student and teacher, the teacher is better.
WRAPPERS = ("state_dict", "model", "teacher")


def read_state_dict(source: str | Path | Mapping[str, Any]) -> StateDict:
    """Return the tensors of a state dict or of its file (.safetensors, or written by torch.save).

    One enclosing level of `state_dict`, `model` or `teacher` is removed, and so is the prefix `module.` that parallel
    training adds to the names.

    Raises:
        InputError: the file is missing, damaged, or holds something other than tensors.
    """
    content = _read_file(Path(source)) if isinstance(source, (str, Path)) else source
    for wrapper in WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping):
            content = inner
            break
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        with errors_naming(source):
            raise InputError(f"holds no tensors; its entries are {shorten(map(str, content)) or 'none'}")
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


@contextmanager
def errors_naming(source: str | Path | Mapping[str, Any]) -> Iterator[None]:
    """Prefix the InputErrors raised inside with the file's name, or with "the state dict"."""
    name = str(source) if isinstance(source, (str, Path)) else "the state dict"
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def shorten(names: Iterable[str], limit: int = 6) -> str:
    """Join the first `limit` names by commas, and add how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no weights file {path}")


def _read_file(path: Path) -> Mapping[str, Any]:
    _require_file(path)
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        except SafetensorError as error:
            raise InputError(f"{path} is not a readable safetensors file: {error}") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is not a PyTorch file of tensors alone: it is damaged, or holds a whole pickled model, which "
            "is not loaded because that could run code from the file; save the model's state_dict()"
        ) from error
    except Exception as error:  # a damaged archive or pickle raises almost anything
        why = str(error) or type(error).__name__
        raise InputError(f"{path} cannot be read as a PyTorch weights file: {why}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__} instead of a state dict")
    return content
