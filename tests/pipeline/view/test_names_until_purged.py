"""The name that a review gave to a person appears wherever the person does, and nowhere any more after a purge: not in
the folder, not in what commands print, and not in the memory of a page that was opened before."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from pipeline.cli import main
from pipeline.core.errors import InputError
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Confirm, Merge, Rename, Split, Step
from pipeline.view.viewed_run import ViewedRun
from tests.helpers.page_client import client_of, summary_of

#: As bytes, because texts of this program are searched for it.
NAME = "Zoë Q. Nobody".encode()
PERSON, OTHER = 1, 2


def has_name(text: str | bytes) -> bool:
    return NAME in (text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def run(scene: Path, tmp_path: Path) -> Path:
    """The looped scene, whose person 1 has a name since step 3."""
    folder = Path(shutil.copytree(scene / "run", tmp_path / "run"))
    steps: list[Step] = [Split("left", 1, 90), Merge(PERSON, 90), Rename(PERSON, NAME.decode()), Confirm(PERSON)]
    with ReviewedRun(folder) as review:
        for step in steps:
            review.do(lambda _, step=step: step)  # type: ignore[misc]
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*map(str, arguments)])
    printed = capsys.readouterr()
    assert not stop.value.code, printed.err
    return " ".join((printed.out + printed.err).split())


def lanes_of(client: TestClient) -> dict[int, str]:
    summary = summary_of(client)
    part = client.get("/api/runs/0/lanes", params={"from": 0, "to": summary["end_s"]}).json()
    return {lane["global_id"]: lane["name"] for lane in part["lanes"]}


def report(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    said(capsys, "report", run)
    return (run / "report.html").read_text()


def find(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    said(capsys, "find", run, "--id", OTHER, "--json", tmp_path / "found.json", "--sheet", tmp_path / "found.png")
    content = json.loads((tmp_path / "found.json").read_text())
    assert all(has_name(one["name"]) == (one["global_id"] == PERSON) for one in content["matches"])
    return said(capsys, "find", run, "--id", OTHER) + json.dumps(content, ensure_ascii=False)


def explain(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    return said(capsys, "explain", run, "--track", "right:1", "--track", "left:1")


def converted(target: str) -> Callable[[Path, Path, pytest.CaptureFixture[str]], str]:
    def read(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
        output = tmp_path / f"{target}.parquet"
        said(capsys, "convert", run, "--to", target, "--output", output, "--overwrite")
        if target == "parquet":
            rows = pq.read_table(output).to_pylist()
            assert all((row["name"] is not None) == (row["global_id"] == PERSON) for row in rows)
            return str(rows)
        texts = [path.read_text() for path in output.rglob("*") if path.suffix in (".json", ".xml")]
        return "".join(texts) + "".join(map(str, map(json.loads, (text for text in texts if text[0] in "[{"))))

    return read


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(report, id="report"),
        pytest.param(find, id="find"),
        pytest.param(explain, id="explain"),
        *(
            pytest.param(converted(one), id=one)
            for one in ("coco", "cvat", "datumaro", "parquet", "fiftyone-script")
        ),
    ],
)
def test_a_name_is_where_its_person_is_until_the_purge(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], read: Callable[..., str]
) -> None:
    assert has_name(read(run, tmp_path, capsys))
    said(capsys, "person", "purge", run, "--id", PERSON)
    known = [path for path in run.rglob("*") if path.is_file() and has_name(path.read_bytes())]
    assert known == []
    if read is find:
        with pytest.raises(SystemExit):
            main(["find", str(run), "--id", str(OTHER)])
        printed = capsys.readouterr().err
        assert "there is no track to compare with" in printed
        assert not has_name(printed)
    elif read is explain:
        with pytest.raises(SystemExit):
            main(["explain", str(run), "--track", "right:1"])
        assert not has_name(capsys.readouterr().err)
    else:
        assert not has_name(read(run, tmp_path, capsys))


def test_an_open_page_shows_names_and_corrections_and_forgets_them(run: Path) -> None:
    client = client_of(run)

    def look() -> int:
        assert has_name(lanes_of(client)[PERSON])
        visit = client.get("/api/runs/0/visits/left/1").json()
        assert has_name(visit["name"])
        *_, split, merge = visit["tracks"][0]["why"]
        assert split.startswith("Review, step 1, 20")
        assert split.endswith(" UTC: split left:1 off as 90; then person 90")
        assert merge.endswith(" UTC: merged 90 into 1; then person 1")
        assert client.get("/api/runs/0/visits/right/1").json()["global_id"] == PERSON
        return int(client.get("/api/runs/0/times_read").json()["times_read"])

    assert look() == 1
    assert ids_in_memory(run) == {PERSON, OTHER}
    assert texts_in_memory()
    assert client.get("/api/runs/0/times_read").json() == {"times_read": 1}  # nothing has changed
    purge_person(RunFolder(run), PERSON, delete_shared=False)
    # Asked for anything, the page knows that it must read the run again.
    assert client.get("/api/runs/0/visits/right/1").status_code == 409
    assert set(lanes_of(client)) & {PERSON, OTHER} == {OTHER}
    assert client.get("/api/runs/0/times_read").json() == {"times_read": 2}
    assert client.get("/api/runs/0/visits/right/1").status_code == 404
    assert ids_in_memory(run) == {OTHER}
    assert texts_in_memory() == []


def test_a_purge_waits_until_a_review_ends(run: Path) -> None:
    with ReviewedRun(run), pytest.raises(InputError, match="mtmc review"):
        purge_person(RunFolder(run), PERSON, delete_shared=False)


def ids_in_memory(folder: Path) -> set[int]:
    """Global ids of the two figures in what this process holds of the run."""
    gc.collect()
    # Not `isinstance`: it asks objects for their class, and lazy modules of torch then import what they stand for.
    runs = [one for one in gc.get_objects() if type(one) is ViewedRun and one.data.folder == folder]
    return {person.global_id for run in runs for person in run.data.people} & {PERSON, OTHER}


def texts_in_memory() -> list[Any]:
    """Texts with the name that an object of this process refers to."""
    gc.collect()
    return [
        text
        for holder in gc.get_objects()
        for text in gc.get_referents(holder)
        if issubclass(type(text), str) and NAME in text.encode("utf-8", "surrogatepass")
    ]
