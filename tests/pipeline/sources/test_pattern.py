from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sources.pattern import matching_files


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("pics[1]/*.jpg", ["pics[1]/1.jpg", "pics[1]/2.jpg", "pics[1]/10.jpg"]),
        ("pics[1]/[12].jpg", ["pics[1]/1.jpg", "pics[1]/2.jpg"]),
        ("pics[12]/*.jpg", ["pics1/a.jpg", "pics2/b.jpg"]),
        ("what?/*.jpg", ["what?/c.jpg"]),
        ("pics[1]/deep[er]/*.jpg", ["pics[1]/deep[er]/d.jpg"]),
        ("**/d.jpg", ["pics[1]/deep[er]/d.jpg"]),
        ("none[1]/*.jpg", []),
    ],
)
def test_brackets_of_existing_folders_are_part_of_the_name(tmp_path: Path, pattern: str, found: list[str]) -> None:
    for name in ("1", "2", "10", "._1", "deep[er]/d"):
        (tmp_path / "pics[1]" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pics[1]" / f"{name}.jpg").touch()
    for name in ("pics1/a.jpg", "pics2/b.jpg", "what?/c.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert [str(file.relative_to(tmp_path)) for file in matching_files(str(tmp_path / pattern))] == found


def test_relative_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.jpg").touch()
    monkeypatch.chdir(tmp_path)
    assert matching_files("*.jpg") == [Path("1.jpg")]
