"""The page: its numbers are those that one counts by hand, and nothing in it is read as markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.core.errors import InputError, RunError
from pipeline.files.run_folder import is_report, reports
from pipeline.privacy.run_folder import RunFolder
from pipeline.report.page import write_report
from tests.helpers import looped_scene


class Page(HTMLParser):
    """The text and the addresses of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._inside: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._inside:
            self.text += data + " "

    def attributes(self, tag: str, name: str) -> list[str]:
        return [
            value for made, attrs in self.tags if made == tag for value in [attrs.get(name)] if value is not None
        ]


def test_the_numbers_of_the_looped_scene(run: Path) -> None:
    written = write_report(run)
    assert (written.path, written.people, written.fragments, written.missing_pictures) == (
        run / "report.html",
        2,
        3,
        0,
    )
    page = Page(written.path)
    assert "2 people were seen by 2 cameras within 33 s, from 0:01.0 to 0:33.9." in page.text
    assert "2 were in several cameras, 2 came back to a camera and none was seen once." in page.text
    assert "There are 3 fragments besides" in page.text
    assert "left right 6 2.1 s 2.1 to 2.1 s" in page.text
    assert "right left 4 4.1 s 4.1 to 4.1 s" in page.text
    assert "No link has a confidence below 0.9." in page.text
    titles = [text for text in re.findall(r"(?:left|right): [^<]*", written.path.read_text()) if "– " in text]
    bars = [title for title in titles if not title.startswith("left: fragment")]
    assert sum(title.startswith("left: 0:01.0 – 0:03.9 (2.9 s), link 1.00") for title in bars) >= 1
    assert written.path.read_text().count('<rect class="stay"') == 12 + 3
    # Two cards with four pictures each, three fragments, and three pairs of the least sure links.
    assert len(page.attributes("img", "src")) == 2 * 4 + 3 + 2 * 3


def test_the_page_names_nothing_outside_of_itself(run: Path) -> None:
    page = Page(write_report(run).path)
    addresses = [*page.attributes("img", "src"), *page.attributes("a", "href"), *page.attributes("link", "href")]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "iframe", "object", "embed", "form", "base"})
    text = (run / "report.html").read_text()
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(
        attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {address[1:] for address in addresses if address.startswith("#")} <= ids


def test_names_from_outside_are_text(run: Path) -> None:
    name = "<script>alert(1)</script>&"
    rows = (run / "trajectories.csv").read_text().replace(",person,", f',"{name}",')
    (run / "trajectories.csv").write_text(rows)
    note = json.loads((run / "run.json").read_text())
    note["cameras"]["left"]["problem"] = "<img src=x onerror=alert(2)>"
    note["state"] = "<b>done</b>"
    (run / "run.json").write_text(json.dumps(note))
    page = Page(write_report(run).path)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "b" not in {tag for tag, _ in page.tags}
    assert name.capitalize() in page.text
    assert "<img src=x onerror=alert(2)>" in page.text
    assert all(source.startswith("data:") for source in page.attributes("img", "src"))


def test_the_same_run_gives_the_same_bytes(run: Path) -> None:
    first = write_report(run).path.read_bytes()
    assert write_report(run).path.read_bytes() == first


def test_recordings_that_were_moved_are_counted_and_can_be_named(
    scene: Path, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    note = json.loads((run / "run.json").read_text())
    for camera in note["config"]["cameras"]:
        camera["source"] = str(tmp_path / "gone" / Path(camera["source"]).name)
    (run / "run.json").write_text(json.dumps(note))
    written = write_report(run)
    page = Page(written.path)
    told = [record.getMessage() for record in caplog.records if "pictures" in record.getMessage()]
    assert len(told) == 2
    assert all(sentence in page.text for sentence in told)
    assert "does not exist; check the path. `--recording left=PATH` says where the recording is now" in told[0]
    assert written.missing_pictures == sum(int(sentence.split()[0]) for sentence in told) > 0
    assert page.attributes("img", "src") == []
    assert "no picture" in page.text
    found = write_report(run, recordings={name: str(scene / f"{name}.mp4") for name in looped_scene.CAMERAS})
    assert found.missing_pictures == 0


def test_another_recording_is_not_cut(run: Path, tmp_path: Path) -> None:
    other = looped_scene.write_video(tmp_path / "other.mp4", [looped_scene.picture("left", 0)[:80]] * 10)
    text = Page(write_report(run, recordings={"left": str(other)}).path).text
    assert "other.mp4 has images of 160x80 px, but those of the run had 160x160 px" in text
    short = looped_scene.write_video(tmp_path / "short.mp4", [looped_scene.picture("left", i) for i in range(45)])
    text = Page(write_report(run, recordings={"left": str(short)}).path).text
    assert "short.mp4 does not have all their frames" in text


def test_without_pictures_nothing_is_decoded(run: Path) -> None:
    written = write_report(run, pictures=False)
    assert written.missing_pictures == 0
    assert Page(written.path).attributes("img", "src") == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"recordings": {"middle": "x.mp4"}},
            "--recording names the camera 'middle', but those of the run are left",
        ),
        ({"output": "run.json"}, "run.json exists and is no report of mtmc: choose another --output"),
        ({"ground_truth": {"left": Path("none.txt")}}, "none.txt"),
    ],
)
def test_wrong_arguments_write_nothing(run: Path, options: dict[str, object], error: str) -> None:
    if "output" in options:
        options = {"output": run / str(options["output"])}
    before = (run / "run.json").read_bytes()
    with pytest.raises(InputError, match=re.escape(error)):
        write_report(run, **options)  # type: ignore[arg-type]
    assert (run / "run.json").read_bytes() == before
    assert not (run / "report.html").exists()


def test_a_folder_instead_of_a_file_is_said(run: Path) -> None:
    (run / "page").mkdir()
    with pytest.raises((InputError, RunError), match="page"):
        write_report(run, run / "page")


def test_a_report_is_known_by_its_content(run: Path) -> None:
    write_report(run)
    write_report(run, run / "other name.html", pictures=False)
    (run / "mine.html").write_text("<html>notes</html>")
    assert [path.name for path in reports(run)] == ["other name.html", "report.html"]
    assert not is_report(run / "missing.html")


def test_a_run_that_saw_nobody(run: Path) -> None:
    path = run / "trajectories.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    text = Page(write_report(run).path).text
    assert "Nobody was seen by 2 cameras." in text


def test_ground_truth_adds_the_ladder_and_the_mistakes(run: Path, tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    page = Page(write_report(run, ground_truth=truth).path)
    # Linking is perfect here. Without it, 30 of the 180 boxes of each person have the right id, and all 30 of the small
    # figures: 90 of 390.
    assert re.search(r"not linked 23\.1 .*this run 100\.0 100\.0 .*perfect linking 100\.0 100\.0", page.text)
    assert "No id covers several people." in page.text
    assert "Nobody has several ids." in page.text


def test_ground_truth_of_a_camera_that_was_cropped(tmp_path: Path) -> None:
    """The run sees the upper half of the images, where only the red figure and the small ones are."""
    recordings = looped_scene.write_recordings(tmp_path)
    cameras = [
        {"name": name, "source": str(path), "crop_xyxy_px": [0, 0, 160, 84]} for name, path in recordings.items()
    ]
    looped_scene.run_scene(tmp_path / "run", recordings, cameras=cameras)
    text = Page(write_report(tmp_path / "run", ground_truth=write_truth(tmp_path)).path).text
    assert re.search(r"this run 100\.0 100\.0 .*perfect linking 100\.0 100\.0", text)


def test_mistakes_are_named_with_their_boxes(run: Path, tmp_path: Path) -> None:
    path = run / "trajectories.csv"
    lines = path.read_text().splitlines()
    # The last stay of person 2 in the camera right becomes person 1, and the first one in left person 9.
    changed = []
    for line in lines:
        fields = line.split(",")
        if fields[0] == "2" and fields[1] == "right" and float(fields[4]) > 31:
            fields[0] = "1"
        if fields[0] == "2" and fields[1] == "left" and float(fields[4]) < 6:
            fields[0] = "9"
        changed.append(",".join(fields))
    # Person 1 is in the same frames then: only boxes after that person has gone are changed.
    path.write_text("\n".join(line for line in changed if not is_twice(line, changed)) + "\n")
    page = Page(write_report(run, ground_truth=write_truth(tmp_path)).path)
    assert "Ids that cover several people of the ground truth Id 1 :" in page.text
    assert "People of the ground truth with several ids Person 2 :" in page.text
    assert "id 9 30 boxes" in page.text


def is_twice(line: str, lines: list[str]) -> bool:
    """Whether a changed row has the id of another row of its frame."""
    fields = line.split(",")
    if fields[0] != "1" or fields[1] != "right":
        return False
    same = [one for one in lines if one.split(",")[:2] == fields[:2] and one.split(",")[3] == fields[3]]
    return len(same) > 1 and line != same[0]


def write_truth(folder: Path) -> dict[str, Path]:
    """The ground truth of the scene: red is person 1, blue person 2, and each small figure another one."""
    files = {}
    loop = looped_scene.LOOP_S * looped_scene.FRAME_RATE
    for name in looped_scene.CAMERAS:
        lines = []
        for index in range(looped_scene.LOOPS * loop):
            for figure, (x1, y1, x2, y2) in looped_scene.boxes_at(name, index):
                person = 1 + figure.dim + (index // loop if figure.dim == 2 else 0)
                lines.append(f"{index + 1},{person},{x1},{y1},{x2 - x1},{y2 - y1},1,1,1")
        files[name] = folder / f"{name}_gt.txt"
        files[name].write_text("\n".join(lines) + "\n")
    return files


def crowd(run: Path, people: int, stay_s: float = 100.0) -> None:
    """Make the rows of one person a number of people with as many tracks, at the same places."""
    path = run / "trajectories.csv"
    head, *lines = path.read_text().splitlines()
    stays = [line.split(",") for line in lines if line.startswith("1,")]
    rows = [
        ",".join(
            [str(number), fields[1], str(people * number + int(fields[2])), *fields[3:12], "0.5", *fields[13:]]
        )
        for fields in stays
        if float(fields[4]) < stay_s
        for number in range(1, people + 1)
    ]
    path.write_text("\n".join([head, *rows]) + "\n")


def test_hundred_people_need_less_than_five_megabytes(run: Path) -> None:
    crowd(run, 100)
    written = write_report(run)
    assert written.people == 100
    assert written.size_bytes < 5_000_000


def test_more_people_than_a_page_shows_are_counted(run: Path) -> None:
    crowd(run, 310, stay_s=2.0)
    page = Page(write_report(run, pictures=False).path)
    assert "310 people were seen" in page.text
    assert "The page shows the first 300 of 310 by their ids" in page.text
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = page.attributes("a", "href")
    assert len(links) > 300
    assert {link[1:] for link in links} <= ids


def test_a_report_elsewhere_is_named_by_a_purge(run: Path, tmp_path: Path) -> None:
    write_report(run, pictures=False)
    assert not (run / "copies.ndjson").exists()
    write_report(run, tmp_path / "elsewhere.html", pictures=False)
    assert RunFolder(run).out_of_reach == [f"{tmp_path / 'elsewhere.html'} (report)"]
