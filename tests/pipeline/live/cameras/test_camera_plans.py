from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.config import Config, load_config
from pipeline.core.errors import InputError
from pipeline.core.redaction import RedactingFilter, Redactor
from pipeline.live.cameras.camera_plans import camera_plans, crops_of
from pipeline.live.cameras.stream import AvOpener
from pipeline.live.output.manifest import Manifest, recorded
from pipeline.live.reload import Changes, changes
from tests.helpers.factories import limits_of
from tests.helpers.live.examples import FixedStatus, make_camera, make_status, watching
from tests.helpers.live.live_process import clip
from tests.helpers.media import grey_picture, write_video

URL = "rtsp://h/x"


def site(folder: Path, *cameras: dict[str, Any], **sections: Any) -> Config:
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump({"cameras": list(cameras), **sections}), encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize(
    ("camera", "said"),
    [
        (None, "there is no camera"),
        ({"source": "missing.mp4"}, "there is no video file"),
        ({"source": "folder/of/images"}, "there is no video file"),
        ({"source": URL, "start_s": 1.0}, "start_s, start_utc, clock_rate and frame_rate are for recordings"),
        ({"source": URL, "frame_rate": 5.0}, "start_s, start_utc, clock_rate and frame_rate are for recordings"),
        ({"source": URL, "password": "geheim"}, "a password needs a username"),
        ({"source": "rtsp://u:geheim@h/x", "username": "v"}, "not in both"),
        ({"source": "rtsp://u:geheim@h/x", "transport": "smoke"}, "transport"),
        ({"source": URL, "username": "u", "password": 123456789}, "password"),
        ({"source": "rtsp://u:geheim@h/x", "fps": 3}, "fps: unknown key"),
        ({"source": URL, "username": "u", "password_file": "absent"}, "absent cannot be read"),
        ({"source": URL, "username": "u", "password": "${NOT_SET}"}, "NOT_SET, which is not set"),
        ({"source": "rtsp://u:${NOT_SET}@h/geheim", "crop_xyxy_px": [1]}, "NOT_SET, which is not set"),
        ({"source": URL, "homography": [[0, 0, 0]] * 3}, "homography must be an invertible 3x3 matrix"),
    ],
)
def test_what_cannot_be_watched_is_said_without_secrets(
    tmp_path: Path, camera: dict[str, Any] | None, said: str
) -> None:
    cameras = [] if camera is None else [{"name": "a", **camera}]

    def plan() -> None:
        camera_plans(site(tmp_path, *cameras), simulate_live=True, redact=Redactor())

    with pytest.raises(InputError) as error:
        plan()
    assert said in str(error.value)
    for secret in ("geheim@", ":geheim", "123456789"):
        assert secret not in str(error.value)


def test_secrets_come_from_the_environment_or_a_file_and_are_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_PASS", "aus@der/umgebung")
    (tmp_path / "secret").write_text("aus der datei\nnot this\n")
    config = site(
        tmp_path,
        {"name": "a", "source": "rtsp://u:${CAM_PASS}@h/x"},
        {"name": "b", "source": URL, "username": "u", "password": "${CAM_PASS}"},
        {"name": "c", "source": URL, "username": "u", "password_file": "secret"},
    )
    redact = Redactor()
    assert len(camera_plans(config, simulate_live=False, redact=redact)) == 3
    shown = repr(config) + str(config.model_dump(mode="json"))
    assert "aus" not in shown
    assert redact("aus@der/umgebung, aus%40der%2Fumgebung, aus der datei") == "***, ***, ***"
    assert [camera.source for camera in config.cameras] == ["rtsp://h/x", URL, URL]


@pytest.mark.parametrize(
    "path",
    [
        "/user=admin&password=${CAM_PASS}",
        "/live?pwd=${CAM_PASS}",
        "?pwd=${CAM_PASS}",
        "/${CAM_PASS}/main",
        "/?x=${CAM_PASS}",
    ],
)
@pytest.mark.parametrize("secret", ["geheim-42", "geh%im/42?", 'geh"im-ü'])
def test_what_the_environment_puts_into_an_address_is_shown_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
    secret: str,
) -> None:
    """In the manifest, the log, and the labels of metrics."""
    monkeypatch.setenv("CAM_PASS", secret)
    monkeypatch.setenv("CAM_HOST", "camera-7")
    config = site(tmp_path, {"name": "a", "source": "rtsp://${CAM_HOST}" + path})
    assert config.cameras[0].source.endswith(path.partition("${")[2].partition("}")[2])
    assert secret in config.cameras[0].source
    redact = Redactor()
    [plan] = camera_plans(config, simulate_live=False, redact=redact)
    text = f"{plan.name}: {config.cameras[0].source} failed"
    status = make_status(make_camera("a", problem=redact(text)))
    Manifest(tmp_path, "run", versions={}, hashes={}, redact=redact).write(
        "running", config, limits_of(config), status, []
    )
    written = (tmp_path / "manifest-run.json").read_text()
    assert json.loads(written)["config"]["cameras"][0]["source"].startswith("rtsp://camera-7")
    with caplog.at_level(logging.WARNING), caplog.filtering(RedactingFilter(redact)):
        logging.getLogger("tests.camera_plans").warning("%s", text)
    metrics = watching(FixedStatus(status)).text().decode()
    for shown in (written, caplog.text, metrics):
        for form in (secret, json.dumps(secret)[1:-1], "geh"):
            assert form not in shown


def test_a_password_that_is_a_word_does_not_hide_where_rows_went(tmp_path: Path) -> None:
    """Deleting a person's rows has to find the files again."""
    rows = tmp_path / "admin" / "rows.jsonl"
    config = load_config(
        None,
        {
            "cameras": [{"name": "a", "source": "rtsp://h/1", "username": "admin", "password": "admin"}],
            "live": {"sinks": [{"type": "json_lines", "path": str(rows)}]},
        },
    )
    run_id = "20261128-admin-1"
    manifest = Manifest(tmp_path, run_id, versions={}, hashes={}, redact=Redactor(["admin", "2026"]))
    manifest.write(
        "running",
        config,
        limits_of(config),
        make_status(make_camera("a", problem="admin refused")),
        [f"traj-{run_id}.csv"],
    )
    assert recorded(tmp_path).sink_files == (str(rows),)
    assert recorded(tmp_path).run_ids == (run_id,)
    written = json.loads((tmp_path / f"manifest-{run_id}.json").read_text())
    assert written["segments"] == [f"traj-{run_id}.csv"]
    assert written["cameras"]["a"]["problem"] == "*** refused"


def test_a_short_value_of_the_environment_is_hidden_only_where_it_is_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANNEL", "1")
    config = site(tmp_path, {"name": "a", "source": "rtsp://h/ch${CHANNEL}?password=${CHANNEL}"})
    redact = Redactor()
    camera_plans(config, simulate_live=False, redact=redact)
    assert redact(f"1 of {config.cameras[0].source}") == "1 of rtsp://h/ch1?password=***"


def test_recordings_start_together_and_keep_their_distances(tmp_path: Path) -> None:
    for name in "ab":
        clip(tmp_path, name, 0.3)
    config = site(
        tmp_path,
        {"name": "a", "source": "a.mp4", "start_s": 12.5},
        {"name": "b", "source": "b.mp4", "start_s": 10.0, "crop_xyxy_px": [0, 0, 100, 50]},
        {"name": "c", "source": URL},
    )
    plans = camera_plans(config, simulate_live=True, redact=Redactor())
    assert [(plan.is_file, plan.offset_s) for plan in plans] == [(True, 2.5), (True, 0.0), (False, 0.0)]
    assert crops_of(config.cameras) == {"a": None, "b": (0, 0, 100, 50), "c": None}


def test_recordings_start_at_the_times_of_their_files(tmp_path: Path) -> None:
    """As in `mtmc track`."""
    for name, second in (("a", 5), ("b", 3)):
        write_video(
            tmp_path / f"{name}.mp4",
            [grey_picture(0)] * 10,
            metadata={"creation_time": f"2026-05-01T10:00:0{second}Z"},
        )
    for start_utc, offsets_s in (("container", (2.0, 0.0)), ("container_end", (2.0, 0.0))):
        cameras = [{"name": name, "source": f"{name}.mp4", "start_utc": start_utc} for name in "ab"]
        plans = camera_plans(site(tmp_path, *cameras), simulate_live=True, redact=Redactor())
        assert tuple(plan.offset_s for plan in plans) == pytest.approx(offsets_s)


@pytest.mark.parametrize(
    ("camera", "step_s"),
    [
        ({}, 0.1),
        ({"frame_rate": 4.0}, 0.25),
        ({"clock_rate": 2.0}, 0.2),
        ({"frame_rate": 4.0, "clock_rate": 2.0}, 0.5),
    ],
)
def test_recordings_are_played_with_the_times_of_the_configuration(
    tmp_path: Path, camera: dict[str, Any], step_s: float
) -> None:
    clip(tmp_path, "a", 0.5)
    config = site(tmp_path, {"name": "a", "source": "a.mp4", **camera})
    [plan] = camera_plans(config, simulate_live=True, redact=Redactor())
    stream = plan.opener()
    times_s = [picture.stream_s for received in stream.packets() for picture in received.pictures]
    stream.close()
    assert times_s == pytest.approx([index * step_s for index in range(5)])


@pytest.mark.parametrize("part", [{"start_s": 1.0}, {"end_s": 1.0}, {"stride": 2}])
def test_a_rehearsal_plays_whole_recordings(tmp_path: Path, part: dict[str, Any]) -> None:
    clip(tmp_path, "a", 0.5)
    config = site(tmp_path, {"name": "a", "source": "a.mp4"}, recording=part)
    with pytest.raises(InputError, match=r"recording\.start_s, end_s and stride are for `mtmc track`"):
        camera_plans(config, simulate_live=True, redact=Redactor())


def test_size_and_limit_of_pictures_reach_the_decoder(tmp_path: Path) -> None:
    config = site(
        tmp_path,
        {"name": "a", "source": URL, "display_size_wh": [1920, 1080]},
        runtime={"max_picture_megapixels": 4.5},
    )
    [plan] = camera_plans(config, simulate_live=False, redact=Redactor())
    assert isinstance(plan.opener, AvOpener)
    assert (plan.opener.options.display_size_wh, plan.opener.options.max_picture_px) == ((1920, 1080), 4_500_000)
    with pytest.raises(InputError, match="display_size_wh 1920x1080 of camera 'a' is above"):
        site(
            tmp_path,
            {"name": "a", "source": URL, "display_size_wh": [1920, 1080]},
            runtime={"max_picture_megapixels": 1.0},
        )


def changed(before: Config, after: Config) -> Changes:
    plans = [camera_plans(one, simulate_live=False, redact=Redactor()) for one in (before, after)]
    return changes(before, after, *plans)


A, B = {"name": "a", "source": URL}, {"name": "b", "source": URL}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ([A, B], "no camera changed"),
        ([A], "removed b"),
        ([A, B, {"name": "c", "source": URL}], "added c"),
        ([{**A, "source": "rtsp://h/y"}, B], "reconnect a"),
        ([{**A, "username": "u", "password": "geheim"}, B], "reconnect a"),
        ([A, {**B, "region_of_interest_px": [[0, 0], [1, 0], [1, 1]]}], "changed b"),
    ],
)
def test_what_a_new_configuration_changes(tmp_path: Path, after: list[dict[str, Any]], said: str) -> None:
    assert str(changed(site(tmp_path, A, B), site(tmp_path, *after))) == said


def test_another_password_in_the_same_file_is_another_connection(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("old\n")
    config = site(tmp_path, {**A, "username": "u", "password_file": "secret"}, B)
    plans = [camera_plans(config, simulate_live=False, redact=Redactor())]
    (tmp_path / "secret").write_text("new\n")
    plans.append(camera_plans(config, simulate_live=False, redact=Redactor()))
    assert str(changes(config, config, *plans)) == "reconnect a"
    assert "old" not in repr(plans)
    assert "new" not in repr(plans)


@pytest.mark.parametrize(
    ("after", "sections", "said"),
    [
        ([A, {**B, "reid_camera": 3}], {}, "camera b: reid_camera"),
        ([A, B], {"live": {"max_fps": 3.0}}, "live.max_fps"),
        ([A, B], {"linker": {"margin": 0.5}}, "linker.margin"),
    ],
)
def test_what_needs_a_restart_is_refused(
    tmp_path: Path, after: list[dict[str, Any]], sections: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        changed(site(tmp_path, A, B), site(tmp_path, *after, **sections))


def test_transit_times_may_change(tmp_path: Path) -> None:
    windows = {"transit_windows": [{"from": "a", "to": "b", "min_s": 1.0, "max_s": 5.0}]}
    assert str(changed(site(tmp_path, A, B), site(tmp_path, A, B, linker=windows))) == "no camera changed"


def test_a_password_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\r\n", encoding="utf-8-sig", newline="")
    config = site(tmp_path, {"name": "a", "source": URL, "username": "u", "password_file": "password"})
    redact = Redactor()
    (plan,) = camera_plans(config, simulate_live=False, redact=redact)
    assert plan.opener.address.password == "geheim"  # type: ignore[attr-defined]
    assert redact("geheim") == "***"


def test_a_password_of_digits_needs_quotes_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        "cameras: [{name: a, source: 'rtsp://h/x', username: viewer, password: 0123456}]"
    )
    with pytest.raises(InputError, match=r"cameras\.0\.password: must be text.* put it into quotes") as failure:
        load_config(tmp_path / "site.yaml")
    assert "3456" not in str(failure.value)
    assert str(0o123456) not in str(failure.value)


def test_a_camera_with_few_frames_has_longer_waiting_times(tmp_path: Path) -> None:
    config = site(
        tmp_path,
        {"name": "quick", "source": "rtsp://h/x"},
        {"name": "slow", "source": "rtsp://h/x", "frame_interval_s": 5.0},
    )
    quick, slow = camera_plans(config, simulate_live=False, redact=Redactor())
    assert isinstance(quick.opener, AvOpener)
    assert isinstance(slow.opener, AvOpener)
    assert (quick.opener.options.read_timeout_s, slow.opener.options.read_timeout_s) == (1.5, 6.5)
    assert (quick.opener.options.open_timeout_s, slow.opener.options.open_timeout_s) == (3.0, 13.0)
    assert (quick.frame_interval_s, slow.frame_interval_s) == (0.0, 5.0)
