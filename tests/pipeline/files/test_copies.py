"""The note about copies of a run's rows."""

from __future__ import annotations

from pathlib import Path

from pipeline.files.copies import COPIES_NAME, NotedCopies, note_copy, noted_copies


def test_copies_are_noted_once_with_what_they_are(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.mkdir()
    assert noted_copies(tmp_path) == NotedCopies()
    for place, what in ((there, "coco"), (gone, "cvat"), (there, "coco"), (there, "mot")):
        note_copy(tmp_path, place, what)
    assert noted_copies(tmp_path).places == (
        f"{there} (coco)",
        f"{gone} (cvat, no longer there)",
        f"{there} (mot)",
    )


def test_a_damaged_line_costs_no_other(tmp_path: Path) -> None:
    note_copy(tmp_path, tmp_path, "coco")
    note = tmp_path / COPIES_NAME
    whole = note.read_text()
    note.write_text(
        f'{whole}[]\n{{"path": 3, "what": "x"}}\n{{"path": "a\\u0000", "what": "x"}}\nno JSON\n{whole[:20]}'
    )
    assert noted_copies(tmp_path) == NotedCopies((f"{tmp_path} (coco)",), 5)
    note_copy(tmp_path, tmp_path / "later", "mot")
    assert noted_copies(tmp_path).damaged == 4
    assert len(noted_copies(tmp_path).places) == 2
