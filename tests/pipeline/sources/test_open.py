from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError, RunError
from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import StreamAddress
from pipeline.live.cameras.stream import AvStream, StreamOptions
from pipeline.sources.open import BrokenSource, open_source
from pipeline.sources.part import PartOfSource
from pipeline.sources.suffixes import natural_sorted
from pipeline.sources.video import VideoSource
from tests.helpers.media import grey_picture, index_of, noisy_picture, write_pictures, write_stamped, write_video


def seqinfo(folder: Path, **values: object) -> Path:
    folder.mkdir(exist_ok=True)
    lines = ["[Sequence]", *(f"{key}={value}" for key, value in values.items())]
    (folder / "seqinfo.ini").write_text("\n".join(lines))
    return folder


class TestVideo:
    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
    def test_frames_come_in_order_with_their_times(self, tmp_path: Path, suffix: str) -> None:
        path = write_video(tmp_path / f"a.{suffix}", [grey_picture(i) for i in range(25)], frame_rate=10)
        with open_source("lobby", str(path)) as source:
            assert (source.camera_id, source.size_wh, source.frame_rate) == ("lobby", (64, 48), 10.0)
            assert source.frame_count == 25
            frames = list(source)
        assert [frame.frame_index for frame in frames] == list(range(25))
        assert [index_of(frame.image) for frame in frames if frame.image is not None] == list(range(25))
        np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(25) / 10, atol=1e-3)

    @pytest.mark.parametrize(
        ("name", "codec", "pix_fmt"),
        [("a.wmv", "wmv2", "yuv420p"), ("a.avi", "huffyuv", "yuv422p"), ("a.y4m", "wrapped_avframe", "yuv420p")],
    )
    def test_codecs_whose_size_only_the_container_states(
        self, tmp_path: Path, name: str, codec: str, pix_fmt: str
    ) -> None:
        path = write_video(tmp_path / name, [grey_picture(i) for i in range(6)], codec=codec, pix_fmt=pix_fmt)
        with open_source("c", str(path)) as source:
            assert [index_of(frame.image) for frame in source if frame.image is not None] == list(range(6))

    def test_pictures_are_bgr_and_contiguous(self, tmp_path: Path) -> None:
        blue = np.zeros((48, 64, 3), np.uint8)
        blue[..., 0] = 255
        with open_source("c", str(write_video(tmp_path / "a.mp4", [blue]))) as source:
            image = next(iter(source)).image
        assert image is not None
        assert image.flags["C_CONTIGUOUS"]
        assert image[24, 32, 0] > 200
        assert image[24, 32, 2] < 50

    def test_a_variable_frame_rate_keeps_the_real_times(self, tmp_path: Path) -> None:
        pts = [0, 1, 2, 10, 11, 30]
        path = write_video(tmp_path / "a.mp4", [grey_picture(i) for i in range(6)], frame_rate=10, pts=pts)
        with open_source("c", str(path)) as source:
            assert [round(frame.time_s, 3) for frame in source] == [0.0, 0.1, 0.2, 1.0, 1.1, 3.0]

    @pytest.mark.parametrize(("suffix", "wrong_s"), [("mkv", 1e6), ("mp4", 30.0), ("ts", 1e4)])
    def test_one_wrong_time_stamp_does_not_move_the_others(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, wrong_s: float
    ) -> None:
        stamps_s = [0.0, 0.1, 0.2, wrong_s, 0.4, 0.5, 0.6]
        path = write_stamped(tmp_path / f"a.{suffix}", stamps_s)
        with open_source("lobby", str(path)) as source:
            times_s = [frame.time_s for frame in source]
            assert isinstance(source, VideoSource)
            assert source.repaired_times == 1
        np.testing.assert_allclose(times_s, np.arange(7) / 10, atol=1e-3)
        (message,) = [record.getMessage() for record in caplog.records]
        assert "camera lobby" in message
        assert "time stamps that cannot be true, the first at frame index 3" in message

    def test_time_starts_at_the_first_frame_whatever_its_timestamp(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mkv", [grey_picture(i) for i in range(3)], pts=[50, 51, 52])
        with open_source("c", str(path)) as source:
            assert [round(frame.time_s, 3) for frame in source] == [0.0, 0.1, 0.2]

    def test_start_and_clock_rate_put_the_frames_on_the_shared_clock(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", [grey_picture(i) for i in range(3)], frame_rate=10)
        with open_source("c", str(path), start_s=100.0, clock_rate=2.0) as source:
            assert [round(frame.time_s, 3) for frame in source] == [100.0, 100.2, 100.4]

    def test_a_given_frame_rate_replaces_the_times_of_the_file(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", [grey_picture(i) for i in range(3)], frame_rate=10, pts=[0, 5, 9])
        with open_source("c", str(path), frame_rate=4.0) as source:
            assert source.frame_rate == 4.0
            assert [frame.time_s for frame in source] == [0.0, 0.25, 0.5]

    def test_a_stream_without_timestamps_counts_frames(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.h264", [grey_picture(i) for i in range(6)], frame_rate=25)
        with open_source("c", str(path)) as source:
            times_s = [frame.time_s for frame in source]
        np.testing.assert_allclose(times_s, np.arange(6) / source.frame_rate, atol=1e-9)

    @pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
    @pytest.mark.parametrize("b_frames", [0, 2])
    def test_gaps_of_an_avi_count(self, tmp_path: Path, codec: str, b_frames: int) -> None:
        """An AVI fills gaps with frames of no bytes."""
        pts = [*range(10), *range(60, 80), *range(81, 90)]
        path = write_video(
            tmp_path / "a.avi",
            [grey_picture(i % 28) for i in range(len(pts))],
            frame_rate=10,
            pts=pts,
            codec=codec,
            max_b_frames=b_frames,
        )
        with open_source("c", str(path)) as source:
            times_s = [frame.time_s for frame in source]
        np.testing.assert_allclose(times_s, np.array(pts) / 10, atol=1e-6)
        stream = AvStream(StreamAddress(str(path)), StreamOptions("tcp", 5.0, 5.0), Redactor())
        pictures = [picture for received in stream.packets() for picture in received.pictures]
        stream.close()
        live_s = [picture.stream_s for picture in pictures if picture.stream_s is not None]
        np.testing.assert_allclose(np.array(live_s) - live_s[0], np.array(pts)[: len(live_s)] / 10, atol=1e-6)
        with open_source("c", str(path), frame_rate=4.0) as source:
            assert [frame.time_s for frame in source] == [index / 4 for index in range(len(pts))]

    @pytest.mark.parametrize("period_ms", [33, 100])
    def test_a_recording_of_a_browser_has_the_rate_of_its_frames(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, period_ms: int
    ) -> None:
        """It states no rate, and FFmpeg then takes that of the clock, 1000."""
        pts = [index * period_ms + index % 3 for index in range(20)]
        path = write_video(
            tmp_path / "a.webm",
            [grey_picture(i) for i in range(20)],
            frame_rate=1000,
            pts=pts,
            codec="libvpx",
        )
        with open_source("c", str(path)) as source:
            assert source.frame_rate == pytest.approx(1000 / period_ms, rel=0.05)
            np.testing.assert_allclose([frame.time_s for frame in source], np.array(pts) / 1000, atol=1e-6)
        assert "states 1000 frames per second, but its first frames come at" in caplog.text
        with open_source("c", str(path), frame_rate=25.0) as source:
            assert source.frame_rate == 25.0

    def test_a_long_gap_does_not_lower_the_rate(self, tmp_path: Path) -> None:
        pts = [*range(10), *range(49_200, 49_210)]
        path = write_video(tmp_path / "a.mp4", [grey_picture(i) for i in range(20)], frame_rate=10, pts=pts)
        with open_source("c", str(path)) as source:
            assert source.frame_rate == pytest.approx(10)
            assert [round(frame.time_s, 3) for frame in source] == [stamp / 10 for stamp in pts]

    def test_a_recording_that_is_marked_as_turned_comes_upright(self, tmp_path: Path) -> None:
        left_half_white = np.zeros((48, 64, 3), np.uint8)
        left_half_white[:, :32] = 255
        path = write_video(tmp_path / "a.mp4", [left_half_white] * 2)
        data = bytearray(path.read_bytes())
        # ISO 14496-12 8.3.2: in a version 0 tkhd box the 3x3 matrix begins 44 bytes after the type; 16.16 fixed
        # point. This one is "turn by 90 degrees clockwise to show".
        matrix = data.index(b"tkhd") + 44
        data[matrix : matrix + 20] = np.array([0, 1 << 16, 0, -(1 << 16), 0], ">i4").tobytes()
        path.write_bytes(data)
        with open_source("phone", str(path)) as source:
            assert source.size_wh == (48, 64)
            image = next(iter(source)).image
        assert image is not None
        assert image.flags["C_CONTIGUOUS"]
        assert image[:28].mean() > 200, "what was left is on top after turning clockwise"
        assert image[36:].mean() < 50

    def test_it_is_read_once(self, tmp_path: Path) -> None:
        source = open_source("c", str(write_video(tmp_path / "a.mp4", [grey_picture(0)])))
        assert len(list(source)) == 1
        with pytest.raises(RuntimeError, match="open it again"):
            iter(source)
        source.close()
        source.close()


class TestBrokenVideo:
    @pytest.mark.parametrize(
        ("suffix", "options"),
        [("mp4", {"movflags": "faststart"}), ("ts", {}), ("mkv", {})],
        ids=["mp4 with its index in front", "ts", "mkv"],
    )
    def test_frames_before_the_cut_are_delivered(
        self, tmp_path: Path, suffix: str, options: dict[str, str]
    ) -> None:
        whole = write_video(tmp_path / f"whole.{suffix}", [noisy_picture(i) for i in range(60)], options=options)
        data = whole.read_bytes()
        cut = tmp_path / f"cut.{suffix}"
        cut.write_bytes(data[: len(data) // 2])
        with open_source("whole", str(whole)) as source:
            expected = [frame.image for frame in source]
        assert len(expected) == 60
        delivered: list[Frame] = []
        with open_source("lobby", str(cut)) as source, pytest.raises(BrokenSource) as caught:
            delivered.extend(source)
        assert 20 < len(delivered) < 40
        for frame, image in zip(delivered[:-2], expected, strict=False):  # the last may be half a picture
            np.testing.assert_array_equal(frame.image, image)
        assert isinstance(caught.value, RunError)
        assert caught.value.frame_index == len(delivered)
        assert f"camera lobby: {cut}, frame index {len(delivered)}: the video ends" in str(caught.value)

    @pytest.mark.parametrize(("kept", "warns"), [(0.8, True), (1.0, False)])
    def test_frames_missing_in_the_last_second_are_counted(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: float, warns: bool
    ) -> None:
        path = write_video(
            tmp_path / "a.mp4", [noisy_picture(i) for i in range(9)], options={"movflags": "faststart"}
        )
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        with open_source("lobby", str(path)) as source:
            delivered = len(list(source))
        said = f"declares 9 frames, but the last {9 - delivered} are missing or cannot be decoded" in caplog.text
        assert (delivered < 9, said) == (warns, warns)

    def test_the_cut_is_noticed_in_every_run(self, tmp_path: Path) -> None:
        """The threads of the decoder alone miss it in about one of five runs."""
        whole = write_video(tmp_path / "whole.ts", [noisy_picture(i) for i in range(60)])
        data = whole.read_bytes()
        cut = tmp_path / "cut.ts"
        cut.write_bytes(data[: len(data) // 2])
        for _ in range(20):
            with open_source("lobby", str(cut)) as source, pytest.raises(BrokenSource):
                list(source)
            with open_source("lobby", str(whole)) as source:
                assert len(list(source)) == 60

    def test_bytes_destroyed_in_the_middle(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", [noisy_picture(i) for i in range(40)])
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + len(data) // 8] = bytes(len(data) // 8)
        path.write_bytes(data)
        delivered: list[Frame] = []
        with open_source("c", str(path)) as source, pytest.raises(BrokenSource, match="cannot be decoded further"):
            delivered.extend(source)
        assert 10 < len(delivered) < 30

    def test_frames_before_damage_near_the_beginning_are_delivered(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.y4m", [grey_picture(i) for i in range(8)], codec="wrapped_avframe")
        parts = path.read_bytes().split(b"FRAME\n")
        path.write_bytes(b"FRAME\n".join(parts[:6]) + b"DAMAGE" + b"FRAME\n".join(parts[6:]))
        delivered: list[Frame] = []
        with open_source("c", str(path)) as source, pytest.raises(BrokenSource, match="frame index 5"):
            delivered.extend(source)
        assert [index_of(frame.image) for frame in delivered if frame.image is not None] == list(range(5))

    def test_a_recording_may_begin_between_key_frames(self, tmp_path: Path) -> None:
        whole = write_video(tmp_path / "whole.ts", [noisy_picture(i) for i in range(20)])
        data = whole.read_bytes()
        late = tmp_path / "late.ts"
        late.write_bytes(data[len(data) // 8 // 188 * 188 :])  # 188 bytes is a transport stream packet
        with open_source("c", str(late)) as source:
            frames = list(source)
        assert 10 <= len(frames) < 20
        assert frames[0].frame_index == 0
        assert frames[0].time_s == 0.0

    def test_pictures_that_the_decoder_had_to_guess_are_reported_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write_video(tmp_path / "a.ts", [noisy_picture(i) for i in range(30)])
        data = bytearray(path.read_bytes())
        middle = len(data) // 2 // 188 * 188
        del data[middle : middle + 188 * 3]
        path.write_bytes(data)
        with open_source("c", str(path)) as source, caplog.at_level(logging.WARNING):
            assert len(list(source)) >= 28
        assert [record.message.split(" has ")[1][:16] for record in caplog.records] == ["damaged pictures"]


class TestImages:
    def test_natural_order_and_times(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, [grey_picture(i) for i in range(12)], "frame_{:d}.png", first=0)
        (tmp_path / "notes.txt").write_text("not a picture")
        with open_source("c", str(tmp_path), frame_rate=5.0, start_s=1.0) as source:
            assert (source.frame_count, source.frame_rate, source.size_wh) == (12, 5.0, (64, 48))
            frames = list(source)
        assert [index_of(frame.image) for frame in frames if frame.image is not None] == list(range(12))
        np.testing.assert_allclose([frame.time_s for frame in frames], 1.0 + np.arange(12) / 5.0)

    def test_a_pattern_chooses_files(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, [grey_picture(i) for i in range(3)], "left{:d}.png")
        write_pictures(tmp_path, [grey_picture(i) for i in range(10, 12)], "right{:d}.png")
        with open_source("c", str(tmp_path / "right*.png"), frame_rate=5.0) as source:
            assert [index_of(frame.image) for frame in source if frame.image is not None] == [10, 11]

    def test_natural_sort(self) -> None:
        files = [Path(name) for name in ("b1", "a10", "a2", "a1b10", "a1b9", "A3")]
        assert [file.name for file in natural_sorted(files)] == ["a1b9", "a1b10", "a2", "A3", "a10", "b1"]

    def test_an_unreadable_picture_breaks_the_source_there(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, [grey_picture(i) for i in range(4)])
        (tmp_path / "2.png").write_bytes(b"no picture")
        delivered: list[Frame] = []
        with open_source("yard", str(tmp_path), frame_rate=1.0) as source, pytest.raises(BrokenSource) as caught:
            delivered.extend(source)
        assert [frame.frame_index for frame in delivered] == [0, 1]
        assert caught.value.frame_index == 2
        assert str(caught.value).startswith("camera yard: ")
        assert "2.png cannot be read as a picture" in str(caught.value)

    @pytest.mark.parametrize("suffix", ["jpg", "png"])
    def test_a_cut_off_picture_counts_as_unreadable(self, tmp_path: Path, suffix: str) -> None:
        write_pictures(tmp_path, [noisy_picture(i) for i in range(2)], "{:d}." + suffix)
        last = tmp_path / f"1.{suffix}"
        last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
        with (
            open_source("c", str(tmp_path), frame_rate=1.0) as source,
            pytest.raises(BrokenSource, match=last.name),
        ):
            list(source)

    def test_an_empty_file_counts_as_unreadable(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, [grey_picture(0)])
        (tmp_path / "1.png").touch()
        with (
            open_source("c", str(tmp_path), frame_rate=1.0) as source,
            pytest.raises(BrokenSource, match=r"1\.png"),
        ):
            list(source)

    def test_a_picture_of_another_size_names_both_sizes(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, [grey_picture(0), grey_picture(1), grey_picture(2, (32, 24))])
        with open_source("c", str(tmp_path), frame_rate=1.0) as source, pytest.raises(BrokenSource) as caught:
            list(source)
        assert caught.value.frame_index == 2
        assert "the picture is 32x24, but the first one is 64x48" in str(caught.value)


class TestMotSequence:
    def test_pictures_with_the_frame_rate_of_seqinfo(self, tmp_path: Path) -> None:
        folder = seqinfo(tmp_path / "seq", name="S", imDir="img1", frameRate=14, seqLength=600)
        write_pictures(folder / "img1", [grey_picture(i) for i in range(3)], "{:06d}.png", first=1)
        with open_source("c", str(folder)) as source:
            assert (source.frame_count, source.frame_rate) == (3, 14.0)
            assert [frame.time_s for frame in source] == [0.0, 1 / 14, 2 / 14]

    def test_a_video_in_place_of_the_pictures(self, tmp_path: Path) -> None:
        folder = seqinfo(tmp_path / "seq", frameRate=7, seqLength=99)
        write_video(folder / "a.mp4", [grey_picture(i) for i in range(4)], frame_rate=10)
        with open_source("c", str(folder)) as source:
            assert source.frame_rate == 7.0
            frames = list(source)
        assert [index_of(frame.image) for frame in frames if frame.image is not None] == [0, 1, 2, 3]
        assert [frame.time_s for frame in frames] == [0.0, 1 / 7, 2 / 7, 3 / 7]

    @pytest.mark.parametrize(("of_seqinfo", "given", "said"), [(7, None, 1), (10, None, 0), (7, 7.0, 0)])
    def test_a_video_with_another_frame_rate_than_seqinfo_is_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, of_seqinfo: int, given: float | None, said: int
    ) -> None:
        folder = seqinfo(tmp_path / "seq", frameRate=of_seqinfo)
        write_video(folder / "a.mp4", [grey_picture(i) for i in range(4)], frame_rate=10)
        with open_source("c", str(folder), frame_rate=given):
            pass
        assert caplog.text.count("a.mp4 itself has 10") == said

    def test_a_frame_rate_that_no_camera_has_is_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = seqinfo(tmp_path / "seq", frameRate=1000)
        write_pictures(folder / "img1", [grey_picture(i) for i in range(2)])
        with open_source("c", str(folder)):
            assert "has 1000 frames per second, which is unlikely" in caplog.text

    def test_a_given_frame_rate_comes_before_seqinfo(self, tmp_path: Path) -> None:
        folder = seqinfo(tmp_path / "seq", frameRate=14)
        write_pictures(folder / "img1", [grey_picture(i) for i in range(2)])
        with open_source("c", str(folder), frame_rate=2.0) as source:
            assert [frame.time_s for frame in source] == [0.0, 0.5]

    def test_without_a_frame_rate_the_video_keeps_its_own(self, tmp_path: Path) -> None:
        folder = seqinfo(tmp_path / "seq", name="S")
        write_video(folder / "a.mp4", [grey_picture(i) for i in range(2)], frame_rate=20)
        with open_source("c", str(folder)) as source:
            assert source.frame_rate == 20.0

    @pytest.mark.parametrize(
        ("names", "indices", "said"),
        [
            pytest.param(["000001", "000002", "000003"], [0, 1, 2], "", id="whole"),
            pytest.param(["000301", "000302", "000303"], [300, 301, 302], "3 pictures, 000301.png to", id="cut"),
            pytest.param(["000005", "000010", "000015"], [4, 9, 14], "3 pictures", id="every fifth"),
            pytest.param(["000001", "000002", "000010"], [0, 1, 9], "3 pictures", id="gap"),
            pytest.param(["000000", "000001", "000002"], [0, 1, 2], "", id="from 0"),
            pytest.param(["img_7", "img_9", "img_11"], [6, 8, 10], "3 pictures", id="prefix, no zeros"),
            pytest.param(["9_left", "10_left", "11_left"], [8, 9, 10], "3 pictures", id="suffix"),
            pytest.param(["a", "b", "c"], [0, 1, 2], "no frame numbers", id="no numbers"),
            pytest.param(["a_1", "b_2", "c_3"], [0, 1, 2], "no frame numbers", id="several names"),
            pytest.param(["1403636579763555584", "1403636579813555456"], [0, 1], "no frame numbers", id="ns"),
            pytest.param(["1700000000.05", "1700000000.10"], [0, 1], "no frame numbers", id="Unix time"),
        ],
    )
    def test_the_number_of_a_picture_is_the_frame(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, names: list[str], indices: list[int], said: str
    ) -> None:
        folder = seqinfo(tmp_path / "seq", frameRate=10)
        for position, name in enumerate(names):
            write_pictures(folder / "img1", [grey_picture(position)], name + ".png")
        with open_source("c", str(folder), start_s=2.0) as source:
            frames = list(source)
        assert [index_of(frame.image) for frame in frames if frame.image is not None] == list(range(len(names)))
        assert [frame.frame_index for frame in frames] == indices
        expected_s = [2.0 + (index - indices[0]) / 10 for index in indices]
        np.testing.assert_allclose([frame.time_s for frame in frames], expected_s)
        assert said in caplog.text if said else not caplog.text

    @pytest.mark.parametrize(("stride", "kept"), [(1, [4, 9, 14, 19]), (2, [4, 14]), (5, [4, 9, 14, 19])])
    def test_every_fifth_picture_is_a_lower_frame_rate(self, tmp_path: Path, stride: int, kept: list[int]) -> None:
        folder = seqinfo(tmp_path / "seq", frameRate=30)
        for number in (5, 10, 15, 20):
            write_pictures(folder / "img1", [grey_picture(number)], "{:06d}.png", first=number)
        source = PartOfSource(open_source("c", str(folder)), stride=stride)
        assert (source.frame_rate, source.index_step) == (30 / (kept[1] - kept[0]), kept[1] - kept[0])
        assert source.frame_count == len(kept)
        assert [frame.frame_index for frame in source] == kept


class TestRefused:
    """What cannot work is an InputError of one line when the source is opened."""

    def refused(self, path: Path, **options: float) -> str:
        with pytest.raises(InputError) as caught:
            open_source("lobby", str(path), **options)
        message = str(caught.value)
        assert "\n" not in message.split(": File contains")[0]
        return message

    def test_missing_file(self, tmp_path: Path) -> None:
        assert (
            self.refused(tmp_path / "no.mp4")
            == f"camera lobby: {tmp_path / 'no.mp4'} does not exist; check the path"
        )

    def test_a_file_that_is_no_video(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.write_text("just text, and enough of it to look at" * 50)
        assert "cannot be opened as a video" in self.refused(path)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        path.touch()
        assert "cannot be opened as a video" in self.refused(path)

    def test_an_mp4_cut_off_before_its_index(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", [noisy_picture(i) for i in range(20)])
        data = path.read_bytes()
        assert data.index(b"moov") > len(data) * 0.7
        path.write_bytes(data[: int(len(data) * 0.6)])
        assert "cut off before its index" in self.refused(path)

    def test_sound_only(self, tmp_path: Path) -> None:
        import av

        path = tmp_path / "a.wav"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        assert "has no pictures in it, only audio" in self.refused(path)

    def test_a_video_without_frames(self, tmp_path: Path) -> None:
        whole = write_video(tmp_path / "whole.ts", [noisy_picture(i) for i in range(5)])
        path = tmp_path / "a.ts"
        path.write_bytes(whole.read_bytes()[: 188 * 4])
        assert str(path) in self.refused(path)

    def test_a_folder_without_pictures(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").touch()
        assert "holds no pictures" in self.refused(tmp_path, frame_rate=1.0)

    def test_a_pattern_without_files(self, tmp_path: Path) -> None:
        assert "no file matches the pattern" in self.refused(tmp_path / "*.png", frame_rate=1.0)

    def test_the_first_picture_is_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "1.png").write_bytes(b"no picture")
        assert "1.png cannot be read as a picture" in self.refused(tmp_path, frame_rate=1.0)

    def test_pictures_without_a_frame_rate(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, [grey_picture(0)])
        assert self.refused(tmp_path).endswith("have no frame rate: give frame_rate")

    @pytest.mark.parametrize(
        ("option", "value"),
        [("start_s", float("nan")), ("clock_rate", 0.0), ("clock_rate", float("inf")), ("frame_rate", -1.0)],
    )
    def test_numbers_out_of_range(self, tmp_path: Path, option: str, value: float) -> None:
        write_pictures(tmp_path, [grey_picture(0)])
        assert f"{option} is {value}" in self.refused(tmp_path, **{option: value})

    @pytest.mark.parametrize("text", ["0", "-5", "fast", "nan"])
    def test_seqinfo_with_a_bad_frame_rate(self, tmp_path: Path, text: str) -> None:
        folder = seqinfo(tmp_path / "seq", frameRate=text)
        write_pictures(folder / "img1", [grey_picture(0)])
        assert f"frameRate is '{text}'" in self.refused(folder)

    def test_seqinfo_without_its_section(self, tmp_path: Path) -> None:
        (tmp_path / "seqinfo.ini").write_text("frameRate=5\n")
        assert "is not a MOTChallenge seqinfo.ini" in self.refused(tmp_path)

    def test_seqinfo_without_frames(self, tmp_path: Path) -> None:
        assert "neither pictures in img1 nor a video" in self.refused(seqinfo(tmp_path / "seq", frameRate=5))

    def test_seqinfo_with_two_videos(self, tmp_path: Path) -> None:
        folder = seqinfo(tmp_path / "seq", frameRate=5)
        (folder / "a.mp4").touch()
        (folder / "b.avi").touch()
        assert "several videos (a.mp4, b.avi)" in self.refused(folder)
