"""`mtmc benchmark trackers` as docs/benchmark.md has it, on a second of the demo scene; and what its sets must hold."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pipeline.benchmark.benchmark_set import BenchmarkSet, read_benchmark_set
from pipeline.benchmark.losses import Cause
from pipeline.benchmark.report import Contestant
from pipeline.cli import main
from pipeline.commands.trackers import SETS, titles
from pipeline.core.errors import InputError, RunError
from pipeline.core.paths import PROJECT_ROOT
from pipeline.scoring.evaluation import score
from reid.checkpoints import save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig
from tests.helpers.demo_clips import cut, cut_ground_truth

PAGE = (PROJECT_ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
TINY = TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16), cameras=0)
FRAMES, FIRST = 8, 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short recordings with ground truth, and a model of a size that tests can wait for."""
    folder = tmp_path_factory.mktemp("set")
    for name, camera in (("entrance", "cam1"), ("hall", "cam2")):
        cut(camera, FRAMES, folder / f"{name}.mp4", FIRST)
        cut_ground_truth(camera, FRAMES, folder / f"{name}_gt.txt", FIRST)
    torch.manual_seed(0)
    save_checkpoint(folder / "weights.safetensors", TransReID(TINY), camera_names=[])
    return folder


def values(folder: Path) -> dict[str, Any]:
    """The set of the page, with its files in `folder`."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    content: dict[str, Any] = yaml.safe_load(block)
    return {
        "cameras": [{**camera, "source": str(folder / camera["source"])} for camera in content["cameras"]],
        "detector": {"runtime": "torch"},
        "embedder": {"weights": str(folder / "weights.safetensors"), "runtime": "torch"},
        "ground_truth": {name: str(folder / file) for name, file in content["ground_truth"].items()},
    }


def test_one_table_of_all_trackers(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(values(folder)))
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r"^    mtmc (benchmark trackers --perturbations .*)$", PAGE, flags=re.MULTILINE)
    arguments = [*shlex.split(line), str(path), "--cache", "cache", "--json", "figures.json"]
    for run in range(2):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code in (None, 0)
        if run == 0:
            first = json.loads((tmp_path / "figures.json").read_text())
            # The second run takes what the first one kept.
            monkeypatch.setattr("pipeline.recorded.track.track", None)
    figures = json.loads((tmp_path / "figures.json").read_text())
    names = [contestant["name"] for contestant in figures["two"]]
    assert len(names) == 10
    assert names[0] == "Ultralytics ByteTrack"
    assert names[-4:-2] == [
        "ByteTrack + clustering",
        "ByteTrack + clustering, best threshold chosen afterwards",
    ]
    assert names[-2:] == ["mtmc, online", "mtmc, offline"]
    for before, after in zip(first["two"], figures["two"], strict=True):
        assert before["scores"] == after["scores"]
        assert len(after["perturbed"]) == 5
    byte_track = figures["two"][0]["scores"]
    assert byte_track["all_cameras"] == byte_track["not_linked"]
    assert byte_track["all_cameras"]["det_a"] > 0.5
    table = (tmp_path / "tables.md").read_text()
    assert table.count("mtmc, online") == 2
    assert "where the loss is" in table


def test_losses_by_cause(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / "one.yaml", tmp_path / "two.yaml"]
    for path in paths:
        path.write_text(yaml.safe_dump(values(folder)))
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r"^    mtmc (benchmark losses .*)$", PAGE, flags=re.MULTILINE)
    with pytest.raises(SystemExit) as stop:
        main([*shlex.split(line), *map(str, paths), "--cache", "cache", "--json", "figures.json"])
    assert stop.value.code in (None, 0)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["one"] == figures["two"]
    counted = {when: sum(one["boxes"] for one in figures["one"][when].values()) for when in ("online", "offline")}
    # The tracks are the same, and so are their boxes.
    assert counted["online"] == counted["offline"] > 10
    tables = (tmp_path / "losses.md").read_text()
    assert tables.count("| linked right |") == 4
    described = set(re.findall(r"^\| ([a-z ]+) \|", PAGE, flags=re.MULTILINE))
    assert {str(cause) for cause in Cause} <= described


def test_confidence_beside_what_is_right(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / "one.yaml", tmp_path / "two.yaml"]
    for path in paths:
        path.write_text(yaml.safe_dump(values(folder)))
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r"^    mtmc (benchmark confidence .*)$", PAGE, flags=re.MULTILINE)
    with pytest.raises(SystemExit) as stop:
        main([*shlex.split(line), *map(str, paths), "--cache", "cache", "--json", "figures.json"])
    assert stop.value.code in (None, 0)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["sets"]["one"] == figures["sets"]["two"]
    for stage in ("online", "offline"):
        counted = figures["sets"]["one"][stage]
        kinds = ("linked", "founded", "fragment")
        assert sum(one["links"] for kind in kinds for one in counted[kind]["bins"]) > 2
    # Both sets show the same recordings, so there is no other place to fit on.
    assert figures["places"] == {"one": ["one", "two"]}
    assert figures["left_out"] == {"online": {}, "offline": {}}
    tables = (tmp_path / "confidence.md").read_text()
    assert tables.count("| calibration error |") == 3
    assert "**all sets**" in tables


def test_curves_over_the_limits(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(values(folder)))
    chosen = ["--only", "linker.margin", "--only", "second_pass.crowd_tightening"]
    files = ["--cache", str(tmp_path / "cache"), "--json", str(tmp_path / "curves.json")]
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "benchmark",
                "limits",
                str(path),
                "--no-peers",
                *chosen,
                *files,
                "--plot",
                str(tmp_path / "curves.png"),
            ]
        )
    assert stop.value.code in (None, 0)
    curves = json.loads((tmp_path / "curves.json").read_text())["two"]
    assert [(curve["tracker"], curve["limit"]) for curve in curves] == [
        ("mtmc, online", "linker.margin"),
        ("mtmc, offline", "linker.margin"),
        ("mtmc, online", "second_pass.crowd_tightening"),
        ("mtmc, offline", "second_pass.crowd_tightening"),
    ]
    plain = {curve["tracker"]: curve["idf1"]["1.0"] for curve in curves}
    assert all(0 < curve["idf1"]["1.0"] == plain[curve["tracker"]] <= 1 for curve in curves)
    # The second pass has no part in the ids that are given online.
    assert set(curves[2]["idf1"].values()) == {plain["mtmc, online"]}
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", "limits", str(path), "--only", "linker.hold", *files])
    assert stop.value.code == 2


def test_what_the_motion_gate_leaves_out(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(values(folder)))
    for light in ([], ["--changing-light"]):
        files = ["--cache", str(tmp_path / "cache"), "--json", str(tmp_path / "motion.json")]
        with pytest.raises(SystemExit) as stop:
            main(["benchmark", "motion", str(path), *light, *files])
        assert stop.value.code in (None, 0)
        figures = json.loads((tmp_path / "motion.json").read_text())["two"]
        # In these .8 s people are in view of both cameras from the first frame on.
        assert (figures["frames"], figures["quiet"], figures["lost"]) == (2 * FRAMES, 0, 0)
        assert figures["people"] > 2
        for ids in ("online", "offline"):
            without, with_gate = figures[ids]
            assert 0 < without == with_gate <= 1
        assert figures["gate_ms"] > 0


def test_sets_of_one_file_name_keep_their_own_figures(tmp_path: Path) -> None:
    """`benchmark campus` calls every set set.yaml."""
    paths = [tmp_path / "hall" / "set.yaml", tmp_path / "yard" / "set.yaml", tmp_path / "yard" / "pets.yaml"]
    assert titles(paths, every=1) == ["hall/set", "yard/set", "pets"]
    assert titles(paths[:1], every=3) == ["set, 1 frame in 3"]


def test_tables_that_cannot_be_written_are_said(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(values(folder)))
    arguments = ["benchmark", "trackers", str(path), "--no-peers", "--cache", str(tmp_path / "cache")]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--markdown", str(tmp_path / "new" / "tables.md")])
    assert not stop.value.code
    assert "**two**" in (tmp_path / "new" / "tables.md").read_text()
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--markdown", str(path / "tables.md")])
    assert stop.value.code == 2


def test_without_a_command_it_is_all_sets(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values(folder)))
    monkeypatch.setattr("pipeline.commands.trackers.SETS", tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["benchmark"])
    assert stop.value.code in (None, 0)
    output = capsys.readouterr().out
    assert output.index("first") < output.index("second")
    # In the table and in the ladder of each.
    assert output.count("mtmc, online") == 4


def tables_of(contents: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], str, int]:
    """Of sets that hold so: which were run, the tables in the file, and the exit code. The set "broken" stops."""
    ran: list[str] = []

    def compare(chosen: BenchmarkSet, *arguments: object, **more: object) -> list[Contestant]:
        ran.append(chosen.name)
        if chosen.name == "broken":
            raise RunError("no more")
        return [Contestant("made up", score({}, chosen.ground_truth), 1.0)]

    monkeypatch.setattr("pipeline.benchmark.comparison.compare", compare)
    paths = []
    for number, content in enumerate(contents):
        path = tmp_path / f"{'broken' if content == 'broken' else f'set{number}'}.yaml"
        path.write_text("{}" if content == "typo" else ONE_BOX)
        paths.append(str(path))
    (tmp_path / "gt.txt").write_text("1,1,40,10,20,30,1,1,1\n")
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", "trackers", *paths, "--no-peers", "--markdown", str(tmp_path / "tables.md")])
    tables = tmp_path / "tables.md"
    return ran, tables.read_text() if tables.exists() else "", int(stop.value.code or 0)


ONE_BOX = "{cameras: [{name: hall, source: hall.mp4}], ground_truth: {hall: gt.txt}}"


def test_a_fault_in_the_last_set_shows_before_the_first_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, _, code = tables_of(["good", "typo"], tmp_path, monkeypatch)
    assert (ran, code) == ([], 2)


def test_tables_of_the_sets_before_one_that_fails_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, tables, code = tables_of(["good", "broken"], tmp_path, monkeypatch)
    assert ran == ["set0", "broken"]
    assert "**set0**" in tables
    assert code


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"ground_truth": None}, "ground_truth: Input should be a valid dict", id="no ground truth"),
        pytest.param({"ground_truth": {}}, "ground_truth: .* at least 1 item", id="an empty one"),
        pytest.param({"same_person": [[3]]}, "same_person.0: .* at least 2 items", id="one person alone"),
        pytest.param({"identity_memory_s": 0}, "identity_memory_s: .* greater than 0", id="no memory"),
        pytest.param({"ground_truth": {"entrance": "x"}}, "only on one side: hall", id="a camera without"),
        pytest.param({"tracker": {"max_lost_s": 9}}, "one configuration for all sets", id="tuned"),
        pytest.param({"colour": "red"}, "colour: unknown key", id="a typo"),
    ],
)
def test_sets_that_are_none(folder: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump({**values(folder), **change}))
    with pytest.raises(InputError, match=words):
        read_benchmark_set(path)


def test_ground_truth_is_cropped_as_its_camera(folder: Path, tmp_path: Path) -> None:
    """Person 1 is half inside of the left 50 px and stays, cut; person 2 is outside."""
    (tmp_path / "gt.txt").write_text("1,1,40,10,20,30,1,1,1\n1,2,60,10,20,30,1,1,1\n")
    content = values(folder)
    content["cameras"] = [{**content["cameras"][0], "crop_xyxy_px": [0, 0, 50, 100]}]
    content["ground_truth"] = {"entrance": "gt.txt"}
    path = tmp_path / "cropped.yaml"
    path.write_text(yaml.safe_dump(content))
    truth = read_benchmark_set(path).ground_truth["entrance"]
    assert truth.ids.tolist() == [1]
    assert truth.xyxy.tolist() == [[40, 10, 50, 40]]


def test_rules_of_a_ground_truth(folder: Path, tmp_path: Path) -> None:
    """Persons 2 and 5 are one; who is away for more than 4 s is new; the rest comes from another file."""
    (tmp_path / "gt.txt").write_text("".join(f"{i},{i},{10 * i},10,20,30,1,1,1\n" for i in (1, 2, 5)))
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({"cameras": values(folder)["cameras"][:1]}))
    rules = {
        "config": "base.yaml",
        "ground_truth": {"entrance": "gt.txt"},
        "same_person": [[2, 5]],
        "identity_memory_s": 4,
    }
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rules))
    chosen = read_benchmark_set(path)
    assert chosen.ground_truth["entrance"].ids.tolist() == [1, 2, 2]
    assert chosen.config.linker.identity_memory_s == 4
    assert [camera.name for camera in chosen.config.cameras] == ["entrance"]


def test_people_in_one_picture_are_not_the_same(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text(
        "".join(f"{f},{i},{10 * i},10,20,30,1,1,1\n" for f, i in ((1, 2), (2, 2), (2, 5)))
    )
    path = tmp_path / "rules.yaml"
    path.write_text("{same_person: [[2, 5]], " + ONE_BOX[1:])
    with pytest.raises(InputError, match=r"2 and 5 are one person, but camera 'hall' has both in frame 2"):
        read_benchmark_set(path)


@pytest.mark.skipif("MTMC_DATA" not in os.environ, reason="MTMC_DATA (folder of recordings) is not set")
@pytest.mark.parametrize("path", sorted(SETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_published_sets_can_be_read(path: Path) -> None:
    chosen = read_benchmark_set(path)
    assert all(len(boxes) > 100 for boxes in chosen.ground_truth.values())


def test_association_of_full_cameras_beside_bytetrack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two views with three people each, three more on the way: nine identities, with a feature for each second."""
    path = tmp_path / "figures.json"
    arguments = "--cameras 2 --people 3 --identities 9 --embedding-dim 16 --seconds 2 --warmup 30"
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", "association", *arguments.split(), "--json", str(path)])
    assert not stop.value.code
    figures = json.loads(path.read_text())
    assert figures["tracks"] == pytest.approx(3, abs=0.5)
    # Those who have walked through the whole world are still remembered.
    assert figures["identities"] >= 9
    assert 8 < figures["features"] <= 16
    assert 0 < figures["association_ms"] < 100
    assert 0 < figures["peer_ms"] < 100
    assert "ByteTrack" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", "association", "--cameras", "4", "--people", "9", "--identities", "20"])
    assert stop.value.code == 2
