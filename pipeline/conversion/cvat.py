"""The XML of "CVAT for video 1.1": one file per camera, with one track of CVAT for each track.

CVAT shows a box until the next keyframe, and moves it in between. Every row is a keyframe, and where a track pauses or
ends, a box with outside="1" takes it off the picture.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from pipeline.conversion.boxes import CameraRows, RunRows, Told
from pipeline.core.datatypes import LinkedRow

LABELS_NAME = "labels.json"
# XML cannot hold other characters, escaped or not.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LARGEST_ID = 1_000_000_000


def cvat_files(run: RunRows, told: Told) -> Iterator[tuple[str, bytes]]:
    """Yield (path below the output folder, content): CAMERA.xml, and labels.json, which a new task of CVAT takes."""
    names = [_xml_text(name) for name in run.class_names]
    changed = sum(new != old for new, old in zip(names, run.class_names, strict=True))
    if changed:
        told.notes.append(
            f"{changed} class names hold characters that XML does not have; each is replaced by {_REPLACEMENT}"
        )
    mixed = 0
    for camera in run.cameras:
        content, of_other_class = _annotations(camera, names, run)
        mixed += of_other_class
        yield f"{camera.camera_id}.xml", content
    if mixed:
        told.notes.append(f"{mixed} boxes have another class than most of their track, and now have the track's")
    labels = [{"name": name, "type": "rectangle", "attributes": _attributes_of(run)} for name in names]
    yield LABELS_NAME, (json.dumps(labels, indent=1) + "\n").encode()


_ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {
        "name": "global_id",
        "mutable": True,
        "input_type": "number",
        "default_value": "0",
        "values": ["0", str(_LARGEST_ID), "1"],
    },
    {
        "name": "interpolated",
        "mutable": True,
        "input_type": "checkbox",
        "default_value": "false",
        "values": ["false"],
    },
)
#: Only of runs whose people have names.
_NAME: dict[str, Any] = {
    "name": "name",
    "mutable": True,
    "input_type": "text",
    "default_value": "",
    "values": [""],
}


def _attributes_of(run: RunRows) -> tuple[dict[str, Any], ...]:
    return (*_ATTRIBUTES, _NAME) if run.names else _ATTRIBUTES


def _xml_text(text: str) -> str:
    return _NO_XML.sub(_REPLACEMENT, text)


class _Xml:
    """Writes indented elements; texts and attributes are escaped."""

    def __init__(self) -> None:
        self._text = io.BytesIO()
        self._out = XMLGenerator(self._text, "utf-8", short_empty_elements=True)
        self._out.startDocument()
        self._depth = 0

    def start(self, element: str, /, **values: object) -> None:
        self._indent()
        self._out.startElement(element, _attributes(values))
        self._depth += 1

    def end(self, element: str) -> None:
        self._depth -= 1
        self._indent()
        self._out.endElement(element)

    def leaf(self, element: str, text: object, /, **values: object) -> None:
        self._indent()
        self._out.startElement(element, _attributes(values))
        self._out.characters(_xml_text(str(text)))
        self._out.endElement(element)

    def content(self) -> bytes:
        self._out.ignorableWhitespace("\n")
        self._out.endDocument()
        return self._text.getvalue()

    def _indent(self) -> None:
        self._out.ignorableWhitespace("\n" + "  " * self._depth if self._depth else "")


def _attributes(values: Mapping[str, object]) -> AttributesImpl[str]:
    return AttributesImpl({key: _xml_text(str(value)) for key, value in values.items()})


def _annotations(camera: CameraRows, names: Sequence[str], run: RunRows) -> tuple[bytes, int]:
    """Return the file of one camera, and the number of boxes whose class is not that of their track.

    Args:
        names: of the classes.
    """
    xml = _Xml()
    xml.start("annotations")
    xml.leaf("version", "1.1")
    _meta(xml, camera, names, _attributes_of(run))
    last_frame = camera.frame_indices[-1] if len(camera.frame_indices) else -1
    mixed = 0
    numbers = camera.track_numbers
    for track_id, rows in camera.tracks.items():
        classes = Counter(linked.row.class_name for linked in rows)
        (label, same), *_ = classes.most_common(1)
        mixed += len(rows) - same
        group = Counter(linked.link.global_id for linked in rows).most_common(1)[0][0]
        xml.start("track", id=numbers[track_id], label=label, source="auto", group_id=group)
        for linked, following in zip(rows, [*rows[1:], None], strict=True):
            name = run.names.get(linked.link.global_id, "") if run.names else None
            _box(xml, linked, name, linked.row.frame_index, outside=False)
            begins = linked.row.frame_index + camera.stored.index_step
            ends = last_frame + 1 if following is None else following.row.frame_index
            longest = 0 if following is None else camera.longest_step
            if begins < ends and ends - linked.row.frame_index > longest:
                _box(xml, linked, name, begins, outside=True)
        xml.end("track")
    xml.end("annotations")
    return xml.content(), mixed


def _meta(xml: _Xml, camera: CameraRows, names: Sequence[str], attributes: Sequence[Mapping[str, Any]]) -> None:
    xml.start("meta")
    xml.start("task")
    xml.leaf("name", camera.camera_id)
    if len(camera.frame_indices):
        last = camera.frame_indices[-1]
        xml.leaf("size", last + 1)
        xml.leaf("mode", "interpolation")
        xml.leaf("start_frame", 0)
        xml.leaf("stop_frame", last)
    else:
        xml.leaf("mode", "interpolation")
    xml.start("labels")
    for name in names:
        xml.start("label")
        xml.leaf("name", name)
        xml.leaf("type", "rectangle")
        xml.start("attributes")
        for attribute in attributes:
            xml.start("attribute")
            xml.leaf("name", attribute["name"])
            xml.leaf("mutable", attribute["mutable"])
            xml.leaf("input_type", attribute["input_type"])
            xml.leaf("default_value", attribute["default_value"])
            xml.leaf("values", "\n".join(attribute["values"]))
            xml.end("attribute")
        xml.end("attributes")
        xml.end("label")
    xml.end("labels")
    if camera.stored.size_wh is not None:
        xml.start("original_size")
        xml.leaf("width", camera.stored.size_wh[0])
        xml.leaf("height", camera.stored.size_wh[1])
        xml.end("original_size")
    xml.end("task")
    xml.end("meta")


def _box(xml: _Xml, linked: LinkedRow, name: str | None, frame: int, *, outside: bool) -> None:
    x1, y1, x2, y2 = linked.row.xyxy
    values = {"frame": frame, "keyframe": 1, "outside": int(outside), "occluded": 0}
    xml.start("box", **values, xtl=x1, ytl=y1, xbr=x2, ybr=y2, z_order=0)
    xml.leaf("attribute", linked.link.global_id, name="global_id")
    xml.leaf("attribute", str(linked.row.interpolated).lower(), name="interpolated")
    if name is not None:
        xml.leaf("attribute", name, name="name")
    xml.end("box")
