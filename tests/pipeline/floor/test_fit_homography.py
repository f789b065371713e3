"""Homographies from points and from calibrated cameras, and the command that prints them."""

from __future__ import annotations

import re
from math import cos, sin
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.floor.camera_files import WorldUnit, read_camera
from pipeline.floor.fit_homography import apply_homography, fit_homography, read_pairs, unlikely_span

Array = NDArray[np.float64]

# A camera 3 m above the floor that looks down at 30 degrees: floor to picture.
CAMERA = np.array([[1000.0, 0, 640], [0, 1000, 360], [0, 0, 1]])
DOWN = np.radians(30)
ROTATION = np.array([[1, 0, 0], [0, -np.sin(DOWN), -np.cos(DOWN)], [0, np.cos(DOWN), -np.sin(DOWN)]])
TRANSLATION = -ROTATION @ np.array([0, 0, 3.0])
FLOOR_M = np.array([[x, y] for x in (-2.0, 0.0, 2.0) for y in (4.0, 6.0, 9.0, 14.0)])


def to_image(floor_m: Array) -> Array:
    world = np.column_stack([floor_m, np.zeros(len(floor_m))])
    pixels, _ = cv2.projectPoints(world, cv2.Rodrigues(ROTATION)[0], TRANSLATION, CAMERA, np.zeros(5))
    return np.asarray(pixels.reshape(-1, 2), np.float64)


def test_four_points_of_a_plan() -> None:
    """A picture that is a plan: 100 px a metre, the floor's origin at (50, 200), y upwards."""
    image = np.array([[50, 200], [150, 200], [150, 100], [50, 100]], np.float64)
    fit = fit_homography(image, np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64))
    assert apply_homography(fit.matrix, np.array([[250.0, 0.0]])).tolist() == [pytest.approx([2, 2])]
    assert fit.error_m == pytest.approx(np.zeros(4), abs=1e-9)
    assert fit.used.all()


def test_perspective_is_found_again() -> None:
    fit = fit_homography(to_image(FLOOR_M), FLOOR_M)
    elsewhere = np.array([[1.3, 5.1], [-1.9, 12.0]])
    assert apply_homography(fit.matrix, to_image(elsewhere)) == pytest.approx(elsewhere, abs=1e-6)


def test_errors_are_those_of_the_wrong_pairs() -> None:
    """One of twelve floor points is off by half a metre: left out, and its error is that."""
    wrong = FLOOR_M.copy()
    wrong[5, 0] += 0.5
    fit = fit_homography(to_image(FLOOR_M), wrong, max_error_m=0.1)
    assert np.flatnonzero(~fit.used).tolist() == [5]
    assert fit.error_m[5] == pytest.approx(0.5, abs=0.01)
    assert fit.error_m[fit.used].max() < 0.01
    assert fit.error_px[5] > 10
    everything = fit_homography(to_image(FLOOR_M), wrong)
    assert everything.used.all()
    assert 0.05 < everything.error_m[5] < 0.5


@pytest.mark.parametrize("unit", [1.0, 100.0, 1000.0], ids=["m", "cm", "mm"])
def test_all_pairs_are_used_without_a_limit_in_any_unit(unit: float) -> None:
    """One of seven pairs is wrong by 5 m: without a limit no pair is called a mistake."""
    wrong = FLOOR_M[:7].copy()
    wrong[2] += (5.0, 0.0)
    everything = fit_homography(to_image(FLOOR_M[:7]), wrong * unit)
    assert everything.used.all()
    exact = fit_homography(to_image(FLOOR_M), FLOOR_M * unit)
    assert exact.used.all()
    assert exact.error_m == pytest.approx(np.zeros(12), abs=1e-4 * unit)
    left_out = fit_homography(to_image(FLOOR_M[:7]), wrong * unit, max_error_m=0.1 * unit)
    assert np.flatnonzero(~left_out.used).tolist() == [2]
    assert left_out.error_m[2] == pytest.approx(5 * unit, rel=0.01)


@pytest.mark.parametrize("origin", [(691608.1, 5334765.4), (-5e6, 0.0), (1e8, -1e8)])
@pytest.mark.parametrize("max_error_m", [None, 0.05])
def test_map_coordinates_are_as_exact_as_local_ones(
    origin: tuple[float, float], max_error_m: float | None, tmp_path: Path
) -> None:
    floor = FLOOR_M + origin
    fit = fit_homography(to_image(FLOOR_M), floor, max_error_m=max_error_m)
    assert fit.used.all()
    assert fit.error_m.max() < 1e-3
    assert fit.error_px.max() < 0.5
    table = np.column_stack([to_image(FLOOR_M), floor]).tolist()
    lines = [",".join(map(repr, row)) for row in table]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(["image_x_px,image_y_px,floor_x_m,floor_y_m", *lines, ""]))
    printed = CliRunner().invoke(app, ["homography", "--pairs", str(pairs)]).stdout
    matrix = yaml.safe_load(printed[printed.index("homography:") :])["homography"]
    assert apply_homography(np.array(matrix), to_image(FLOOR_M)) == pytest.approx(floor, abs=0.01)


def test_pairs_of_which_no_four_agree() -> None:
    scattered = np.random.default_rng(0).uniform(0, 10, (8, 2))
    with pytest.raises(InputError, match=r"no 4 of the 8 pairs agree to 1e-09 m"):
        fit_homography(np.random.default_rng(1).uniform(0, 900, (8, 2)), scattered, max_error_m=1e-9)
    with pytest.raises(InputError, match=r"a coordinate is 1e\+300"):
        fit_homography(to_image(FLOOR_M), FLOOR_M * 1e300 / 14)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param("1,2,3,4\n5,6,7,8\n9,1,2,3\n", "3 pairs .* at least 4", id="three"),
        pytest.param("".join(f"{i},{2 * i},{i},{i}\n" for i in range(5)), "lie on a line", id="a line"),
        pytest.param("0,0,0,0\n1,0,0,0\n1,1,0,0\n0,1,0,0\n", "lie on a line", id="one floor point"),
        pytest.param("0,0,0,0\n100,0,1,0\n200,0,2,0\n0,100,0,1\n", "all but one", id="all but one on a line"),
        pytest.param(
            "0,0,0,0\n90,0,1,0\n200,0,2,0\n300,0,3,0\n0,100,0,1\n", "all but one", id="all but one of five"
        ),
        pytest.param("0,0,0,0\n100,0,1,0\n200,0,2,0.5\n0,100,0,1\n", "all but one", id="a line that is bent"),
        pytest.param("1,2,3,4\n5,6,seven,8\n", "line 3: floor_x_m is 'seven'", id="a word"),
        pytest.param("1,2,3\n", "line 2: floor_y_m is None", id="a short row"),
        pytest.param("1,2,3,nan\n", "line 2: floor_y_m is 'nan'", id="no number"),
    ],
)
def test_pairs_that_make_no_homography(tmp_path: Path, rows: str, words: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("image_x_px,image_y_px,floor_x_m,floor_y_m\n" + rows)
    with pytest.raises(InputError, match=words):
        fit_homography(*read_pairs(path))


def test_a_header_without_a_column(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("image_x_px,image_y_px,x,y\n1,2,3,4\n")
    with pytest.raises(InputError, match="no column floor_x_m, floor_y_m"):
        read_pairs(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "missing.csv")


def test_a_table_saved_by_excel(tmp_path: Path) -> None:
    """It begins with a byte order mark, or is no UTF-8 at all."""
    path = tmp_path / "pairs.csv"
    text = "image_x_px,image_y_px,floor_x_m,floor_y_m\r\n1,2,3,4\r\n"
    path.write_bytes(text.encode("utf-8-sig"))
    image, floor = read_pairs(path)
    assert image.tolist() == [[1, 2]]
    assert floor.tolist() == [[3, 4]]
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_pairs(path)


@pytest.mark.parametrize("limit", ["0", "-1", "nan"])
def test_a_limit_that_opencv_would_replace_is_refused(tmp_path: Path, limit: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("image_x_px,image_y_px,floor_x_m,floor_y_m\n0,0,0,0\n9,0,1,0\n9,9,1,1\n0,9,0,1\n0,5,9,9\n")
    with pytest.raises(InputError, match=f"max_error_m must be above 0, but is {limit}"):
        CliRunner().invoke(
            app, ["homography", "--pairs", str(path), "--max-error-m", limit], catch_exceptions=False
        )


@pytest.mark.parametrize("rotation", [ROTATION, cv2.Rodrigues(ROTATION)[0]], ids=["matrix", "vector"])
@pytest.mark.parametrize("names", [("rvec", "tvec"), ("R", "T")])
@pytest.mark.parametrize("suffix", ["yml", "json", "xml"])
def test_parameters_of_opencv(
    tmp_path: Path, names: tuple[str, str], rotation: NDArray[np.float64], suffix: str
) -> None:
    path = tmp_path / f"camera.{suffix}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("camera_matrix", CAMERA)
    storage.write(names[0], rotation)
    storage.write(names[1], TRANSLATION.reshape(3, 1))
    storage.release()
    assert apply_homography(read_camera(path), to_image(FLOOR_M)) == pytest.approx(FLOOR_M, abs=1e-6)


def test_parameters_of_tsai(tmp_path: Path) -> None:
    """Against the rotation as Tsai's paper writes it out, in millimetres."""
    rx, ry, rz = 1.9, -0.02, 0.3
    tx, ty, tz = -4000.0, 1500.0, 40000.0
    focal, dpx, dpy, cx, cy, sx = 5.5, 0.0051, 0.0065, 366.5, 305.8, 1.1
    path = tmp_path / "view.xml"
    path.write_text(
        f'<Camera><Geometry width="720" height="576" dpx="{dpx}" dpy="{dpy}" />'
        f'<Intrinsic focal="{focal}" kappa1="0.01" cx="{cx}" cy="{cy}" sx="{sx}" />'
        f'<Extrinsic tx="{tx}" ty="{ty}" tz="{tz}" rx="{rx}" ry="{ry}" rz="{rz}" /></Camera>'
    )
    r1, r2 = cos(ry) * cos(rz), cos(rz) * sin(rx) * sin(ry) - cos(rx) * sin(rz)
    r4, r5 = sin(rz) * cos(ry), sin(rx) * sin(ry) * sin(rz) + cos(rx) * cos(rz)
    r7, r8 = -sin(ry), cos(ry) * sin(rx)
    pixels = []
    for x, y in FLOOR_M * 1000:
        xc, yc, zc = r1 * x + r2 * y + tx, r4 * x + r5 * y + ty, r7 * x + r8 * y + tz
        pixels.append([sx / dpx * focal * xc / zc + cx, focal * yc / zc / dpy + cy])
    assert apply_homography(read_camera(path), np.array(pixels)) == pytest.approx(FLOOR_M, abs=1e-6)


def write_two_files(folder: Path, *, text: bool, metres: float = 1.0) -> list[Path]:
    """Inner and outer parameters in two files, as in MultiviewX, or with plain numbers as in WILDTRACK."""
    inner, outer = folder / "intr_CVLab1.xml", folder / "extr_CVLab1.xml"
    storage = cv2.FileStorage(str(inner), cv2.FILE_STORAGE_WRITE)
    storage.write("camera_matrix", CAMERA)
    storage.write("distortion_coefficients", np.zeros((1, 5)))
    storage.release()
    vectors = {"rvec": cv2.Rodrigues(ROTATION)[0].ravel(), "tvec": TRANSLATION.ravel() / metres}
    if text:
        lines = [
            f"<{name}>\n    {' '.join(map(repr, value.tolist()))}\n</{name}>" for name, value in vectors.items()
        ]
        outer.write_text("\n".join(['<?xml version="1.0"?>', "<opencv_storage>", *lines, "</opencv_storage>", ""]))
    else:
        storage = cv2.FileStorage(str(outer), cv2.FILE_STORAGE_WRITE)
        for name, value in vectors.items():
            storage.write(name, value.reshape(3, 1))
        storage.release()
    return [inner, outer]


@pytest.mark.parametrize("text", [True, False], ids=["WILDTRACK", "MultiviewX"])
@pytest.mark.parametrize("turn", [1, -1])
def test_inner_and_outer_parameters_in_two_files(tmp_path: Path, text: bool, turn: int) -> None:
    files = write_two_files(tmp_path, text=text)[::turn]
    assert apply_homography(read_camera(*files), to_image(FLOOR_M)) == pytest.approx(FLOOR_M, abs=1e-6)


@pytest.mark.parametrize(
    ("per_metre", "offset", "said"),
    [
        (1.0, 0.0, False),
        (1.0, 5_334_765.4, False),
        (0.3, 0.0, False),
        (1 / 111_000, 48.1, True),
        (0.001, 0.0, True),
        (1000.0, 0.0, True),
    ],
    ids=["metres", "map coordinates", "a small floor", "degrees", "kilometres", "millimetres"],
)
def test_floor_points_in_other_units_are_said(tmp_path: Path, per_metre: float, offset: float, said: bool) -> None:
    floor = FLOOR_M * per_metre + offset
    assert (unlikely_span(floor) is not None) == said
    rows = [
        f"{u},{v},{x!r},{y!r}" for (u, v), (x, y) in zip(to_image(FLOOR_M).tolist(), floor.tolist(), strict=True)
    ]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(["image_x_px,image_y_px,floor_x_m,floor_y_m", *rows]) + "\n")
    printed = CliRunner().invoke(app, ["homography", "--pairs", str(pairs)])
    assert printed.exit_code == 0, printed.output
    assert ("m of the floor, which is unlikely" in " ".join(printed.output.split())) == said


@pytest.mark.parametrize(("unit", "metres"), [("cm", 0.01), ("mm", 0.001), ("m", 1.0)])
def test_the_unit_of_the_world(
    tmp_path: Path, unit: WorldUnit, metres: float, caplog: pytest.LogCaptureFixture
) -> None:
    files = write_two_files(tmp_path, text=True, metres=metres)
    right = read_camera(*files, world_unit=unit)
    assert apply_homography(right, to_image(FLOOR_M)) == pytest.approx(FLOOR_M, abs=1e-6)
    assert caplog.text == ""
    # Without the unit, all is 1 / metres times too large; this is said, with the unit that fits.
    wrong = read_camera(*files)
    assert apply_homography(wrong, to_image(FLOOR_M)) == pytest.approx(FLOOR_M / metres, rel=1e-6, abs=1e-6)
    assert ("m above the floor if the world is in m" in caplog.text) == (unit != "m")
    assert bool(re.search(rf"give --world-unit .*\b{unit}\b if", caplog.text)) == (unit != "m")


def test_lists_of_numbers_in_yaml(tmp_path: Path) -> None:
    path = tmp_path / "camera.yml"
    values = {"camera_matrix": CAMERA.tolist(), "R": ROTATION.ravel().tolist(), "T": TRANSLATION.ravel().tolist()}
    path.write_text("%YAML:1.0\n---\n" + "".join(f"{name}: {value}\n" for name, value in values.items()))
    assert apply_homography(read_camera(path), to_image(FLOOR_M)) == pytest.approx(FLOOR_M, abs=1e-6)


def test_two_files_that_are_not_the_two_of_a_camera(tmp_path: Path) -> None:
    inner, outer = write_two_files(tmp_path, text=True)
    with pytest.raises(InputError, match=r"intr_CVLab1.xml: has no R or rvec; .* with another --camera"):
        read_camera(inner)
    with pytest.raises(InputError, match=r"extr_CVLab1.xml: has no camera_matrix; .* with another --camera"):
        read_camera(outer)
    with pytest.raises(InputError, match=r"camera_matrix is also in .*intr_CVLab1.xml; give the two files"):
        read_camera(inner, inner)
    tsai = tmp_path / "view.xml"
    tsai.write_text("<Camera><Intrinsic/></Camera>")
    with pytest.raises(InputError, match="Tsai's parameters are in one file; give it alone"):
        read_camera(inner, tsai)


@pytest.mark.parametrize("kappa1", [0, 1e-5, 5e-3])
def test_the_distortion_of_tsai_is_told_if_it_matters(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kappa1: float
) -> None:
    path = tmp_path / "view.xml"
    path.write_text(
        '<Camera><Geometry dpx="0.005" dpy="0.005" />'
        f'<Intrinsic focal="5" kappa1="{kappa1}" cx="400" cy="300" sx="1" />'
        '<Extrinsic tx="0" ty="0" tz="40000" rx="1.9" ry="0" rz="0.3" /></Camera>'
    )
    read_camera(path)
    messages = [record.getMessage() for record in caplog.records]
    # The corner is 2.5 mm from the centre, and 5e-3 x 2.5^3 mm are 15.6 px; 1e-5 makes a thirtieth of a pixel.
    assert len(messages) == (kappa1 == 5e-3)
    assert all("kappa1 = 0.005, 16 px at a corner of the image, is ignored" in message for message in messages)


@pytest.mark.parametrize(
    ("coefficients", "told"), [([0.0] * 5, False), ([1e-5, 0, 0, 0], False), ([-0.3, 0.1, 0, 0, 0], True)]
)
def test_the_distortion_of_opencv_is_told_if_it_matters(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, coefficients: list[float], told: bool
) -> None:
    path = write_opencv(tmp_path / "camera.yml", coefficients)
    assert apply_homography(read_camera(path), to_image(FLOOR_M)) == pytest.approx(FLOOR_M, abs=1e-6)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == told
    assert all("distortion_coefficients = [-0.3, 0.1, 0, 0, 0]" in message for message in messages)


def test_a_number_of_distortion_coefficients_that_no_model_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="distortion_coefficients has 3 values, but must have one of 4, 5, 8, 12, 14"
    ):
        read_camera(write_opencv(tmp_path / "camera.yml", [0.1, 0, 0]))


def write_opencv(path: Path, distortion: list[float]) -> Path:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in (("camera_matrix", CAMERA), ("R", ROTATION), ("T", TRANSLATION.reshape(3, 1))):
        storage.write(name, value)
    storage.write("distortion_coefficients", np.array(distortion))
    storage.release()
    return path


def matrix(name: str, rows: int, columns: int) -> str:
    """As OpenCV writes one of ones."""
    ones = ", ".join(["1."] * (rows * columns))
    return f"{name}: !!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n   data: [ {ones} ]"


def matrices(camera: str, r: tuple[int, int] = (3, 3), t: tuple[int, int] = (3, 1)) -> str:
    return "\n".join(["%YAML:1.0", "---", camera, matrix("R", *r), matrix("T", *t), ""])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.yml", None, "there is no such file"),
        ("broken.xml", "<Camera>", "is not valid XML"),
        ("other.yml", "%YAML:1.0\n---\nnothing: 1\n", "has no camera_matrix"),
        ("yaml.yml", "not: [yaml", "OpenCV cannot read it"),
        ("text.yml", matrices("camera_matrix: abc"), "OpenCV cannot read it"),
        ("four.yml", matrices(matrix("camera_matrix", 4, 4)), r"camera_matrix is \(4, 4\), but must be \(3, 3\)"),
        ("flat.yml", matrices(matrix("camera_matrix", 3, 3), r=(2, 3)), r"R or rvec is \(2, 3\), but"),
        (
            "rvec.yml",
            matrices(matrix("camera_matrix", 3, 3), r=(5, 1)).replace("R:", "rvec:"),
            r"R or rvec is \(5, 1\), but",
        ),
        ("ones.yml", matrices(matrix("camera_matrix", 3, 3)), "the camera matrix .* has no inverse"),
        ("nan.yml", matrices(matrix("camera_matrix", 3, 3)).replace("1.,", ".Nan,", 1), "must be finite numbers"),
        (
            "ragged.yml",
            "%YAML:1.0\n---\ncamera_matrix: [[1, 2], [3]]\nR: [1]\nT: [1]\n",
            r"camera_matrix is \(3,\)",
        ),
        ("long.yml", matrices(matrix("camera_matrix", 3, 3), t=(4, 1)), "T or tvec has 4 values, but"),
        ("half.xml", '<C><Intrinsic focal="1" /></C>', "Geometry, Intrinsic and Extrinsic"),
        ("word.xml", '<C><Geometry dpx="a" dpy="1"/><Intrinsic /><Extrinsic /></C>', "dpx is 'a'"),
        (
            "zero.xml",
            '<C><Geometry dpx="0" dpy="1"/><Intrinsic focal="5" sx="1"/><Extrinsic /></C>',
            "dpx 0, dpy 1 and sx 1 must not be 0",
        ),
    ],
)
def test_files_that_are_no_camera(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_camera(path)


def test_the_command_prints_what_the_configuration_takes(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    lines = ["image_x_px,image_y_px,floor_x_m,floor_y_m"]
    for (x, y), (x_m, y_m) in zip(to_image(FLOOR_M).tolist(), FLOOR_M.tolist(), strict=True):
        lines.append(f"{x},{y},{x_m},{y_m}")
    path.write_text("\n".join(lines) + "\n")
    result = CliRunner().invoke(app, ["homography", "--pairs", str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "12 of 12 pairs used; reprojection error 0.000 m" in re.sub(r"\s+", " ", result.output)
    printed = yaml.safe_load(result.output[result.output.index("homography:") :])
    camera = {"name": "entrance", "source": "entrance.mp4", **printed}
    matrix = load_config(None, {"cameras": [camera]}).cameras[0].homography
    assert matrix is not None
    assert apply_homography(np.array(matrix), to_image(FLOOR_M)) == pytest.approx(FLOOR_M, abs=1e-3)


def test_the_command_takes_both_files_of_a_camera(tmp_path: Path) -> None:
    inner, outer = write_two_files(tmp_path, text=True, metres=0.01)
    arguments = ["homography", "--camera", str(inner), "--camera", str(outer), "--world-unit", "cm"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    printed = yaml.safe_load(result.output[result.output.index("homography:") :])
    camera = {"name": "entrance", "source": "entrance.mp4", **printed}
    matrix = load_config(None, {"cameras": [camera]}).cameras[0].homography
    assert matrix is not None
    assert apply_homography(np.array(matrix), to_image(FLOOR_M)) == pytest.approx(FLOOR_M, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-5, 1.0, 1e5, 1e7])
def test_what_is_printed_is_read_as_numbers(tmp_path: Path, scale: float) -> None:
    """Floors of any unit: what is printed contains numbers such as 1e-05, and no line is broken."""
    rows = np.column_stack([to_image(FLOOR_M), FLOOR_M * scale]).tolist()
    path = tmp_path / "pairs.csv"
    header = "image_x_px,image_y_px,floor_x_m,floor_y_m\n"
    path.write_text(header + "".join(",".join(map(repr, row)) + "\n" for row in rows))
    result = CliRunner(env={"COLUMNS": "20"}).invoke(app, ["homography", "--pairs", str(path)])
    assert result.exit_code == 0, result.output
    lines = result.output[result.output.index("homography:") :].splitlines()
    assert len(lines) == 4
    matrix = yaml.safe_load("\n".join(lines))["homography"]
    assert all(isinstance(number, int | float) for row in matrix for number in row)


@pytest.mark.parametrize("arguments", [[], ["--pairs", "a", "--camera", "b"]])
def test_points_or_parameters(arguments: list[str]) -> None:
    with pytest.raises(InputError, match="give either --pairs"):
        CliRunner().invoke(app, ["homography", *arguments], catch_exceptions=False)


def test_points_are_in_metres() -> None:
    with pytest.raises(InputError, match="--world-unit is for --camera"):
        CliRunner().invoke(app, ["homography", "--pairs", "a", "--world-unit", "cm"], catch_exceptions=False)
