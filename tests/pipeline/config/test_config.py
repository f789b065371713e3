from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from pipeline.config.config import DEFAULT_CONFIG, CameraConfig, Config, load_config, named_sources
from pipeline.config.output_settings import read_secret
from pipeline.core.errors import InputError
from pipeline.core.yaml_file import read_yaml
from pipeline.cross_camera.match_limits import LinkLimits
from pipeline.cross_camera.settings import TransitWindow

CAMERA = {"name": "hall", "source": "hall.mp4"}


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, content: dict[str, Any]) -> Config:
    return load_config(write(folder, yaml.safe_dump(content)))


# -- the default file ------------------------------------------------------------------------------------------


def _keys(model: type[BaseModel], prefix: str = "") -> dict[str, bool]:
    """Dotted key -> whether it has a value of its own in the model."""
    keys = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= _keys(field.annotation, f"{prefix}{name}.")
        else:
            keys[prefix + name] = not field.is_required()
    return keys


def _paths(content: dict[str, Any], prefix: str = "") -> set[str]:
    """Dotted keys of a file."""
    paths: set[str] = set()
    for key, value in content.items():
        paths |= _paths(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key}
    return paths


def test_the_default_file_has_every_key_and_nothing_else_has_defaults() -> None:
    in_file = _paths(yaml.safe_load(DEFAULT_CONFIG.read_text(encoding="utf-8")))
    keys = _keys(Config)
    assert in_file == set(keys)
    assert [key for key, has_default in keys.items() if has_default] == []
    assert {"cameras", "tracker.max_lost_s", "linker.transit_windows"} <= set(keys)


def test_only_cameras_and_transit_windows_have_values_of_their_own() -> None:
    assert [name for name, has_default in _keys(CameraConfig).items() if not has_default] == ["name", "source"]
    assert [name for name, has_default in _keys(TransitWindow).items() if has_default] == ["one_way"]


def test_the_default_file_shows_every_key_of_a_camera() -> None:
    text = DEFAULT_CONFIG.read_text(encoding="utf-8")
    written = [name for name, field in CameraConfig.model_fields.items() if not field.exclude]
    assert [name for name in written if f"{name}:" not in text] == []


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_config().tracker.max_lost_s = 3.0  # type: ignore[misc]


# -- putting together ------------------------------------------------------------------------------------------


def test_files_and_overrides_replace_only_what_they_name(tmp_path: Path) -> None:
    path = write(tmp_path, "tracker: {max_lost_s: 5, first_crops: 4}\ncameras: [{name: a, source: a.mp4}]\n")
    config = load_config(path, {"tracker": {"first_crops": 7}, "cameras": [CAMERA]})
    default = load_config()
    assert (config.tracker.max_lost_s, config.tracker.first_crops) == (5.0, 7)
    assert config.tracker.high_confidence == default.tracker.high_confidence
    assert config.linker == default.linker
    assert [camera.name for camera in config.cameras] == ["hall"]


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "")) == load_config()


def test_whole_numbers_are_taken_for_seconds_and_windows_by_their_short_names(tmp_path: Path) -> None:
    window = {"from": "a", "to": "b", "min_s": 5, "max_s": 60}
    cameras = [{"name": name, "source": f"{name}.mp4"} for name in "ab"]
    config = loaded(tmp_path, {"cameras": cameras, "linker": {"transit_windows": [window]}})
    (read,) = config.linker.transit_windows
    assert (read.from_camera, read.to_camera, read.min_s, read.max_s) == ("a", "b", 5.0, 60.0)
    assert read.directions == [("a", "b"), ("b", "a")]
    assert read.model_copy(update={"one_way": True}).directions == [("a", "b")]


# -- faults ----------------------------------------------------------------------------------------------------


def _window(**changes: object) -> dict[str, Any]:
    window = {"from": "a", "to": "b", "min_s": 5, "max_s": 60, **changes}
    cameras = [{"name": name, "source": f"{name}.mp4"} for name in "abc"]
    return {"cameras": cameras, "linker": {"transit_windows": [window]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param({"trackr": {}}, ["trackr: unknown key", "configs/default.yaml"], id="unknown section"),
        pytest.param({"tracker": {"max_age": 3}}, ["tracker.max_age: unknown key"], id="unknown key"),
        pytest.param(
            {"cameras": [{**CAMERA, "fps": 3}]}, ["cameras.0.fps: unknown key"], id="unknown key of a camera"
        ),
        pytest.param(
            {"tracker": {"max_lost_s": "long"}},
            ["tracker.max_lost_s:", "number", "'long'"],
            id="text for a number",
        ),
        pytest.param(
            {"tracker": {"max_lost_s": True}}, ["tracker.max_lost_s:", "number", "True"], id="yes for a number"
        ),
        pytest.param(
            {"tracker": {"first_crops": 2.5}}, ["tracker.first_crops:", "integer", "2.5"], id="half a crop"
        ),
        pytest.param({"tracker": 5}, ["tracker:", "dictionary", "5"], id="number for a section"),
        pytest.param({"cameras": None}, ["cameras:", "list", "None"], id="cameras without a list"),
        pytest.param(
            {"tracker": {"max_lost_s": -1}}, ["tracker.max_lost_s:", "greater than 0", "-1"], id="below 0"
        ),
        pytest.param(
            {"tracker": {"max_lost_s": float("inf")}}, ["tracker.max_lost_s:", "finite", "inf"], id="infinite"
        ),
        pytest.param(
            {"linker": {"max_cosine_distance": 0}},
            ["linker.max_cosine_distance:", "greater than 0", "0"],
            id="a limit by which costs are divided",
        ),
        pytest.param(
            {"tracker": {"high_confidence": 1.5}}, ["tracker.high_confidence:", "1.5"], id="share above 1"
        ),
        pytest.param(
            {"tracker": {"high_confidence": 0.9}},
            ["tracker: low_confidence <= high_confidence <= new_track_confidence", "0.1, 0.9, 0.5"],
            id="confidences out of order",
        ),
        pytest.param(
            {"detector": {"half": "yes"}},
            ["detector.half:", "'auto'", "boolean", "'yes'"],
            id="neither of two types",
        ),
        pytest.param({"cameras": [{"name": "a"}]}, ["cameras.0.source: Field required"], id="no source"),
        pytest.param(
            {"cameras": [{"name": "a/b", "source": "x"}]},
            ["cameras.0.name:", "'a/b'"],
            id="no file name",
        ),
        pytest.param({"cameras": [CAMERA, CAMERA]}, ["camera 'hall' is named twice"], id="camera named twice"),
        pytest.param(
            {"cameras": [{**CAMERA, "crop_xyxy_px": [10, 0, 5, 20]}]},
            ["cameras.0: crop_xyxy_px must be [left, top, right, bottom]", "[10, 0, 5, 20]"],
            id="crop with right < left",
        ),
        pytest.param(
            {"cameras": [{**CAMERA, "homography": [[1, 0, 0], [0, 1]]}]}, ["cameras.0.homography"], id="no 3x3"
        ),
        pytest.param(
            {"cameras": [{**CAMERA, "region_of_interest_px": [[0, 0], [1, 1]]}]},
            ["cameras.0.region_of_interest_px:", "at least 3"],
            id="region of two points",
        ),
        pytest.param(
            {"cameras": [{**CAMERA, "start_s": 3, "start_utc": "2026-05-01T10:00:00Z"}]},
            ["cameras.0: give start_s or start_utc, not both"],
            id="two starts",
        ),
        pytest.param(
            {"cameras": [{**CAMERA, "start_utc": "noon"}]},
            ["cameras.0.start_utc:", "2026-05-01T10:00:00Z", "container", "'noon'"],
            id="no time",
        ),
        pytest.param(
            {"cameras": [{**CAMERA, "start_utc": "2026-05-01"}, {"name": "b", "source": "b.mp4"}]},
            ["start_utc must be given for every camera or for none", "'b'"],
            id="start for some cameras only",
        ),
        pytest.param(
            _window(to="garden"),
            ["transit window names camera 'garden'", "the cameras are a, b, c"],
            id="window to an unknown camera",
        ),
        pytest.param(
            _window(min_s=61), ["linker.transit_windows.0: min_s 61.0 is above max_s 60.0"], id="min > max"
        ),
        pytest.param(
            _window(to="a"), ["linker.transit_windows.0: from and to are both 'a'"], id="window inside a camera"
        ),
        pytest.param(_window(minutes=1), ["linker.transit_windows.0.minutes: unknown key"], id="key of a window"),
    ],
)
def test_a_fault_is_told_with_file_key_value_and_what_was_expected(
    tmp_path: Path, content: dict[str, Any], message: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, content)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'config.yaml'}: ")
    assert [part for part in message if part not in text] == []
    assert "\n" not in text


def test_two_windows_in_one_direction_contradict_each_other(tmp_path: Path) -> None:
    content = _window()
    there = content["linker"]["transit_windows"][0]
    back = {"from": "b", "to": "a", "min_s": 1, "max_s": 2}
    with pytest.raises(InputError, match="two windows lead from 'a' to 'b'"):
        loaded(tmp_path, {**content, "linker": {"transit_windows": [there, back]}})
    one_way = [{**there, "one_way": True}, {**back, "one_way": True}]
    assert len(loaded(tmp_path, {**content, "linker": {"transit_windows": one_way}}).linker.transit_windows) == 2


def test_all_faults_are_told_up_to_five() -> None:
    with pytest.raises(InputError) as caught:
        load_config(None, {f"nothing{index}": 1 for index in range(9)})
    assert str(caught.value).count("unknown key") == 5


def test_a_fault_in_an_override_says_so() -> None:
    with pytest.raises(InputError, match=r"default\.yaml with overrides: tracker\.max_lost_s"):
        load_config(None, {"tracker": {"max_lost_s": 0}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("tracker: {a: 1}\ntracker: {b: 2}\n", "'tracker' is given twice.*line 2", id="key twice"),
        pytest.param("a:\n  b: 1\n  b: 2\n", "'b' is given twice.*line 3", id="key twice further down"),
        pytest.param("a: [1, 2\n", "is not valid YAML", id="bracket left open"),
        pytest.param("- a\n- b\n", "expected keys and values at the top, found list", id="a list"),
        pytest.param("a: !!python/object:os.system {}\n", "is not valid YAML", id="code"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_configuration(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read|none\.yaml: cannot read"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.yaml: is not a text file in UTF-8"):
        load_config(tmp_path / "binary.yaml")


# -- times and paths -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T10:00:00Z", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01 12:00:00+02:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01 10:00:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ('"2026-05-01T10:00:00Z"', datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ('"2026-05-01T12:00:00+02:00"', datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("container", "container"),
        ("null", None),
    ],
)
def test_start_utc(tmp_path: Path, text: str, expected: object) -> None:
    path = write(tmp_path, f"cameras:\n  - name: a\n    source: a.mp4\n    start_utc: {text}\n")
    assert load_config(path).cameras[0].start_utc == expected


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "near.mp4").touch()
    sources = {
        "near": "near.mp4",
        "up": "../up.mp4",
        "below": "videos/below.mp4",
        "far": "/far/away.mp4",
        "bare": "no",
    }
    cameras = [{"name": name, "source": source} for name, source in sources.items()]
    config = load_config(write(folder, yaml.safe_dump({"cameras": cameras, "detector": {"weights": "../w.pt"}})))
    assert [camera.source for camera in config.cameras] == [
        str(folder / "near.mp4"),
        str(tmp_path / "up.mp4"),
        str(folder / "videos" / "below.mp4"),
        "/far/away.mp4",
        "no",  # a bare name that is not there may be known to whoever opens it
    ]
    assert config.detector.weights == str(tmp_path / "w.pt")
    assert Path(load_config().detector.weights).parent == DEFAULT_CONFIG.parent.parent / "weights"


def test_environment_variables_in_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, yaml.safe_dump({"cameras": [{"name": "a", "source": "${RECORDINGS}/a.mp4"}]}))
    monkeypatch.setenv("RECORDINGS", "/recordings")
    assert load_config(path).cameras[0].source == "/recordings/a.mp4"
    monkeypatch.delenv("RECORDINGS")
    with pytest.raises(InputError, match=r"'\$\{RECORDINGS\}/a\.mp4' needs the environment variable RECORDINGS"):
        load_config(path)


def test_named_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd=name.mp4").touch()
    sources = ["hall=x/y.mp4", "x/gate one.mp4", "folder/img1", "odd=name.mp4", "a b=c.mp4", "/"]
    assert named_sources(sources) == [
        {"name": "hall", "source": "x/y.mp4"},
        {"name": "gate_one", "source": "x/gate one.mp4"},
        {"name": "img1", "source": "folder/img1"},
        {"name": "odd_name", "source": "odd=name.mp4"},  # a file of this name is there
        {"name": "a_b_c", "source": "a b=c.mp4"},  # what stands before = can be no name
        {"name": "cam6", "source": "/"},
    ]


@pytest.mark.parametrize(
    ("sources", "proposed"),
    [
        (["c1/video.mp4", "c2/video.mp4"], "such as c1=c1/video.mp4 c2=c2/video.mp4"),
        (["video.mp4", "video.avi"], "such as video1=video.mp4 video2=video.avi"),
        (["x=a.mp4", "x=b.mp4"], "such as x1=a.mp4 x2=b.mp4"),
        (["x=rtsp://u:secret@h/1", "x=rtsp://u:secret@h/2?pwd=secret"], "x2=rtsp://h/2?pwd=***"),
    ],
)
def test_sources_of_one_name_are_told_how_to_be_named(sources: list[str], proposed: str) -> None:
    with pytest.raises(InputError, match="is named twice, by ") as caught:
        named_sources(sources)
    assert proposed in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/guard")
    assert named_sources(["~/a.mp4", "hall=~/b.mp4"]) == [
        {"name": "a", "source": "/home/guard/a.mp4"},
        {"name": "hall", "source": "/home/guard/b.mp4"},
    ]
    path = tmp_path / "site.yaml"
    path.write_text(
        "cameras: [{name: a, source: ~/a.mp4, username: u, password_file: ~/secret}]\n"
        "detector: {weights: ~/yolo.pt}\n"
        "live: {sinks: [{type: json_lines, path: ~/rows.jsonl}]}\n"
    )
    config = load_config(path, {"embedder": {"weights": "~/net.onnx", "site": "~/site.safetensors"}})
    assert config.cameras[0].source == "/home/guard/a.mp4"
    assert config.cameras[0].password_file == "/home/guard/secret"
    assert config.detector.weights == "/home/guard/yolo.pt"
    assert config.embedder.weights == "/home/guard/net.onnx"
    assert config.embedder.site == "/home/guard/site.safetensors"
    assert getattr(config.live.sinks[0], "path", None) == "/home/guard/rows.jsonl"


def test_limits_are_smaller_among_many_people() -> None:
    limits = LinkLimits(cosine=0.3, centred_cosine=None, crowd_tightening=0.36)
    factors = limits.crowd_factors(np.array([0, 10, 20, 100, 1000, 10**6]))
    assert factors == pytest.approx([1, 1, 1 - 0.36 * 0.30103, 0.64, 0.28, 0.25], abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "guess"),
    [
        pytest.param({"traker": {}}, "traker: unknown key, did you mean tracker?;", id="section"),
        pytest.param(
            {"tracker": {"max_lost": 3.0}}, "tracker.max_lost: unknown key, did you mean max_lost_s?;", id="key"
        ),
        pytest.param(
            {"cameras": [{"name": "a", "source": "a.mp4", "homografy": []}]},
            "cameras.0.homografy: unknown key, did you mean homography?;",
            id="in a list",
        ),
        pytest.param(
            {"live": {"sinks": [{"type": "mqtt", "host": "b", "prot": 1}]}},
            "prot: unknown key, did you mean port?;",
            id="member of a union",
        ),
        pytest.param({"tracker": {"colour": 3.0}}, "tracker.colour: unknown key; configs", id="nothing similar"),
    ],
)
def test_a_mistyped_key_is_guessed(settings: dict[str, Any], guess: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(None, settings)
    assert guess in str(caught.value)


def test_the_configuration_loads_no_decoder() -> None:
    """If PyAV is loaded before OpenCV, OpenCV's window hangs."""
    code = "import sys, pipeline.config.config; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- secrets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "cameras: [{name: a, source: 'rtsp://h', username: u, password: 'Secret${UNSET}'}]",
        "cameras: [{name: a, source: 'rtsp://u:Secret@${UNSET}/x'}]",
        "cameras: ['rtsp://u:Secret@h/x']",
        "cameras: 'rtsp://u:Secret@h/x'",
        "cameras: ['password:Secret']",
        "cameras: ['admin:Secret@10.0.0.1']",
        "cameras: {name: a, password: Secret, passwort: Secret}",
        "cameras: [[{password: Secret}]]",
        "cameras: [{name: a, source: x, password:Secret}]",
        "cameras: [{name: a, source: x, 'rtsp://u:Secret@h': 1}]",
        "cameras: [{name: 'rtsp://u:Secret@h', source: x}]",
        "cameras: [{name: a, source: x, start_utc: 'rtsp://u:Secret@h'}]",
        "cameras: [{name: a, source: [Secret], password: [Secret], username: {Secret: 1}}]",
        "live: {sinks: ['mqtt://u:Secret@h']}",
        "live: {sinks: 'redis://:Secret@h'}",
        "live: {sinks: [{type: 'mqtt://u:Secret@h'}]}",
        "live: {sinks: [{type: mqtt, host: h, password: 'Secret${UNSET}'}]}",
        "live: {sinks: [{type: mqtt, host: h, password: {Secret: 1}}]}",
        "live: {sinks: [{type: kafka, servers: ['u:Secret@h:9092']}]}",
        "live: {sinks: [{type: kafka, servers: ['h:9092'], password: Secret}]}",
        "live: {web: {token: [Secret]}}",
        "live: {web: 'token=Secret'}",
        "detector: 'weights: x, token: Secret'",
        "cameras: [{name: a, source: 'rtsp://h', username: u, password: \"Secret}]",
    ],
)
def test_messages_hold_no_password(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSET", raising=False)
    with pytest.raises(InputError) as caught:
        load_config(write(tmp_path, text))
    assert "Secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_of_digits_needs_quotes() -> None:
    camera = {**CAMERA, "source": "rtsp://h", "username": "u", "password": 1234}
    with pytest.raises(InputError, match=r"cameras\.0\.password: must be text, .* put it into quotes") as caught:
        load_config(None, {"cameras": [camera]})
    assert "1234" not in str(caught.value)


def test_a_byte_order_mark_is_not_part_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pass word\r\n", encoding="utf-8-sig", newline="")
    assert read_secret(None, str(tmp_path / "password")) == "pass word"
    (tmp_path / "password").write_text("pass word", encoding="utf-16")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_secret(None, str(tmp_path / "password"))


# -- cameras beside the file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00", "1899-12-31T00:00:00Z", "9999-12-31T23:59:59"])
def test_dates_at_the_ends_of_the_calendar(tmp_path: Path, year: str) -> None:
    with pytest.raises(InputError, match=r"cameras\.0\.start_utc: expected a year from 1900 to 2200"):
        loaded(tmp_path, {"cameras": [{**CAMERA, "start_utc": year}]})


def test_overrides_change_a_camera_by_its_number(tmp_path: Path) -> None:
    path = write(tmp_path, "cameras: [{name: a, source: /a.mp4, start_s: 1}, {name: b, source: /b.mp4}]")
    change = {"cameras": {"1": {"start_s": 5, "clock_rate": 1.5}}}
    for config in (load_config(path, change), load_config(None, change, cameras=named_sources(["a=/a", "b=/b"]))):
        assert [(one.name, one.start_s, one.clock_rate) for one in config.cameras][1] == ("b", 5.0, 1.5)
    for number in ("2", "-1", "b"):
        with pytest.raises(InputError, match="cameras"):
            load_config(path, {"cameras": {number: {"start_s": 5}}})
    with pytest.raises(InputError, match="as SOURCE and with --set cameras="):
        load_config(None, {"cameras": [CAMERA]}, cameras=named_sources(["a=/a"]))


def test_a_source_replaces_that_of_a_camera_of_the_file_and_keeps_its_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cameras = [
        {"name": "a", "source": "rtsp://u:Secret@old/x", "start_s": 3, "transport": "udp"},
        {"name": "b", "source": "/b.mp4"},
    ]
    path = write(tmp_path, yaml.safe_dump({"cameras": cameras}))
    (camera,) = load_config(path, cameras=named_sources(["a=/new.mp4"])).cameras
    assert (camera.name, camera.source, camera.start_s, camera.transport) == ("a", "/new.mp4", 3.0, "udp")
    assert camera.username is None  # the login of the old address
    assert "not used are b of" in caplog.text
    with pytest.raises(
        InputError, match=r"SOURCE names the camera 'new', but those of .* are a, b: give CAMERA=PATH"
    ):
        load_config(path, cameras=named_sources(["/new.mp4"]))


@pytest.mark.parametrize("cameras", ["hall", [3], [{"source": "/a.mp4"}], [{"name": ["a"], "source": "/a.mp4"}]])
def test_a_source_does_not_hide_wrong_cameras_of_the_file(tmp_path: Path, cameras: object) -> None:
    path = write(tmp_path, yaml.safe_dump({"cameras": cameras}))
    with pytest.raises(InputError, match="cameras: must be a list of cameras, each with its name"):
        load_config(path, cameras=named_sources(["a=/new.mp4"]))


@pytest.mark.parametrize(("value", "device"), [(0, "cuda:0"), ("1", "cuda:1"), ("cuda", "cuda"), ("auto", "auto")])
def test_a_gpu_is_named_by_its_number_too(value: object, device: str) -> None:
    config = load_config(None, {"detector": {"device": value}, "embedder": {"device": value}})
    assert (config.detector.device, config.embedder.device) == (device, device)


@pytest.mark.parametrize("value", [True, -1, 0.0, None, [0]])
def test_what_is_no_device(value: object) -> None:
    with pytest.raises(InputError, match=r"detector\.device: Input should be a valid string"):
        load_config(None, {"detector": {"device": value}})


def test_a_name_leaves_room_for_the_endings_of_files() -> None:
    for name in ("x" * 251, "\u00e4" * 125):
        (camera,) = named_sources([f"{name}.mp4"])
        assert len(camera["name"].encode()) == 200
        assert load_config(None, cameras=[camera]).cameras[0].name == camera["name"]
    with pytest.raises(InputError, match=r"cameras\.0\.name: the name has 201 bytes"):
        load_config(None, {"cameras": [{**CAMERA, "name": "x" * 201}]})
