"""Steps of a review: what a person changes about the identities of a run, and how a step is written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.core.shown_values import shown
from pipeline.files.track_boxes import LARGEST_NUMBER

LONGEST_NAME = 80


@dataclass(frozen=True)
class Merge:
    """All tracks of the identity `merged` get the global id `into`."""

    into: int
    merged: int


@dataclass(frozen=True)
class Split:
    """A track becomes another person.

    Attributes:
        global_id: of the new person.
        from_frame: index, from 0, of the first frame that belongs to the new person; None for the whole track.
        new_track_id: of the second part, which becomes a track of its own; None for the whole track.
    """

    camera_id: str
    track_id: int
    global_id: int
    from_frame: int | None = None
    new_track_id: int | None = None


@dataclass(frozen=True)
class Delete:
    """All rows of a track are deleted: it is a false detection."""

    camera_id: str
    track_id: int


@dataclass(frozen=True)
class Rename:
    """A person gets a display name; '' removes it."""

    global_id: int
    name: str


@dataclass(frozen=True)
class Confirm:
    """A person is confirmed as correct, or is no longer."""

    global_id: int
    confirmed: bool = True


Step = Merge | Split | Delete | Rename | Confirm
#: Steps that change rows; the others only describe people.
ROW_STEPS = (Merge, Split, Delete)
_KINDS: Mapping[str, type[Step]] = {
    "merge": Merge,
    "split": Split,
    "delete": Delete,
    "rename": Rename,
    "confirm": Confirm,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def content_of(step: Step) -> dict[str, Any]:
    """Return a step as JSON data; `step` names its kind."""
    return {"step": _NAMES[type(step)], **asdict(step)}


def step_in(content: Mapping[str, Any]) -> Step:
    """Return the step that `content_of` wrote; further keys are ignored.

    Raises:
        ValueError: it is no step, or a value is of another type.
    """
    kind = _KINDS.get(str(content.get("step")))
    if kind is None:
        raise ValueError(f"there is no step {shown(content.get('step'))}")
    if kind is Merge:
        return Merge(_whole(content, "into"), _whole(content, "merged"))
    if kind is Delete:
        return Delete(_text(content, "camera_id"), _whole(content, "track_id"))
    if kind is Rename:
        return Rename(_whole(content, "global_id"), checked_name(content.get("name")))
    if kind is Confirm:
        confirmed = content.get("confirmed", True)
        if not isinstance(confirmed, bool):
            raise ValueError("confirmed is neither true nor false")
        return Confirm(_whole(content, "global_id"), confirmed)
    whole_track = content.get("from_frame") is None
    if whole_track != (content.get("new_track_id") is None):
        raise ValueError("a split has from_frame and new_track_id, or neither")
    return Split(
        _text(content, "camera_id"),
        _whole(content, "track_id"),
        _whole(content, "global_id"),
        None if whole_track else _whole(content, "from_frame"),
        None if whole_track else _whole(content, "new_track_id"),
    )


def said(step: Step) -> str:
    """Return a step in words."""
    match step:
        case Merge():
            return f"merged {step.merged} into {step.into}"
        case Split():
            part = "" if step.from_frame is None else f" from frame {step.from_frame}"
            return f"split {step.camera_id}:{step.track_id}{part} off as {step.global_id}"
        case Delete():
            return f"deleted {step.camera_id}:{step.track_id}"
        case Rename():
            return (
                f"named {step.global_id} {step.name!r}" if step.name else f"removed the name of {step.global_id}"
            )
        case Confirm():
            return f"confirmed {step.global_id}" if step.confirmed else f"{step.global_id} is no longer confirmed"


def checked_name(name: object) -> str:
    """Return a display name without spaces around it.

    Raises:
        ValueError: it is no text, too long, or has signs that cannot be printed.
    """
    if not isinstance(name, str):
        raise ValueError("a name must be text")
    name = name.strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a name has at most {LONGEST_NAME} letters, all of them printable, on one line")
    return name


def _whole(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"{name} is {shown(value)}, not a whole number")
    return value


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {shown(value)}, not text")
    return value
