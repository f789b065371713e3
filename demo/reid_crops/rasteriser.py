"""Draw textured triangles with OpenGL, on a GPU or on the CPU (Mesa's llvmpipe)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import InputError

Floats = NDArray[np.floating[Any]]  # float32 for storing and drawing

SHADOW_PX = 768
CONTACTS = 12  # most contact shadows, such as those of feet

_VERTEX_SHADER = """
#version 330
uniform mat4 to_clip;
in vec3 position; in vec3 normal; in vec2 uv; in vec3 tint;
out vec3 at; out vec3 up; out vec2 st; out vec3 dye;
void main() { at = position; up = normal; st = uv; dye = tint; gl_Position = to_clip * vec4(position, 1.0); }
"""

_LIT_SHADER = """
#version 330
uniform sampler2D albedo;
uniform sampler2DShadow shadow;
uniform mat4 to_light;
uniform vec3 to_sun, sun, sky, ground, eye;
uniform float softness, shine, grounded, mark;
uniform int contacts;
uniform vec3 contact[12];
in vec3 at; in vec3 up; in vec2 st; in vec3 dye;
out vec4 colour;
void main() {
    vec3 n = normalize(up);
    vec3 towards = normalize(eye - at);
    if (dot(n, towards) < -0.15) n = -n;
    vec3 base = pow(texture(albedo, st).rgb, vec3(2.2)) * dye;
    float lit = clamp(dot(n, to_sun), 0.0, 1.0);
    if (lit > 0.0 && dot(sun, sun) > 0.0) {
        vec4 place = to_light * vec4(at + 0.012 * n, 1.0);
        float seen = 0.0;
        for (int i = -1; i <= 1; i++) for (int j = -1; j <= 1; j++)
            seen += texture(shadow, vec3(place.xy + softness * vec2(i, j), place.z - 0.002));
        lit *= seen / 9.0;
    }
    vec3 ambient = mix(ground, sky, 0.5 + 0.5 * n.y);
    // ambient light is dimmer on surfaces at a grazing angle to the camera
    float bent = 0.72 + 0.28 * clamp(dot(n, towards), 0.0, 1.0);
    float open = 1.0;
    if (grounded > 0.5)
        for (int i = 0; i < contacts; i++) {
            vec2 away = (at.xz - contact[i].xy) / contact[i].z;
            open *= 1.0 - 0.62 * exp(-dot(away, away)) * step(at.y, 0.05);
        }
    else open *= 0.62 + 0.38 * smoothstep(-0.1, 0.5, at.y);
    vec3 halfway = normalize(to_sun + towards);
    float gloss = shine * pow(clamp(dot(n, halfway), 0.0, 1.0), 24.0) * lit;
    colour = vec4(base * (ambient * bent * open + sun * lit) + sun * gloss, mark);
}
"""

_SKY_SHADER = """
#version 330
uniform sampler2D albedo;
in vec3 at; in vec3 up; in vec2 st; in vec3 dye;
out vec4 colour;
void main() { colour = vec4(pow(texture(albedo, st).rgb, vec3(2.2)) * dye, 0.0); }
"""

_VALUES_SHADER = """
#version 330
in vec3 at; in vec3 up; in vec2 st; in vec3 dye;
out vec4 colour;
void main() { colour = vec4(up, 1.0); }
"""

_DEPTH_SHADER = """
#version 330
void main() {}
"""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in metres; y points up.

    Attributes:
        position, normal: (V, 3) float32.
        uv: (V, 2) float32; a texture repeats beyond 0..1.
        triangles: (T, 3) int32, 0-based.
        tint: (V, 3) float32, multiplies the texture's linear colour.
    """

    position: Floats
    normal: Floats
    uv: Floats
    triangles: NDArray[np.int32]
    tint: Floats

    @classmethod
    def joined(cls, meshes: list[Mesh]) -> Mesh:
        """Join several meshes, at least one, to one."""
        starts = np.cumsum([0] + [len(mesh.position) for mesh in meshes[:-1]])
        return cls(
            np.concatenate([mesh.position for mesh in meshes]),
            np.concatenate([mesh.normal for mesh in meshes]),
            np.concatenate([mesh.uv for mesh in meshes]),
            np.concatenate([m.triangles + s for m, s in zip(meshes, starts, strict=True)]).astype(np.int32),
            np.concatenate([mesh.tint for mesh in meshes]),
        )

    def packed(self) -> bytes:
        """Return the vertices in the layout that OpenGL reads."""
        rows = np.concatenate([self.position, self.normal, self.uv, self.tint], axis=1)
        return np.ascontiguousarray(rows, np.float32).tobytes()


@dataclass(frozen=True, eq=False)
class Light:
    """Light of a place, linear RGB; 1 turns a white surface into a white pixel.

    Attributes:
        to_sun: (3,) unit vector towards the only lamp that casts shadows.
        sun, sky, ground: (3,) light of that lamp, from above and from below.
        softness: width of shadow edges, as a share of the lit area around a person.
    """

    to_sun: Floats
    sun: Floats
    sky: Floats
    ground: Floats
    softness: float


@dataclass(frozen=True, eq=False)
class Piece:
    """A mesh and its texture; `Rasteriser.draw` returns the pixels of marked pieces as a mask."""

    mesh: Mesh
    texture: Any
    shine: float = 0.0
    marked: bool = False


class Rasteriser:
    """Draws pieces into linear RGB pictures. One object and one thread per process."""

    def __init__(self) -> None:
        # several workers share the machine, so each draws in its own thread only
        os.environ.setdefault("LP_NUM_THREADS", "0")
        try:
            import moderngl
        except ModuleNotFoundError as error:
            raise InputError("moderngl is missing: pip install 'mtmc[demo-scene]'") from error
        self._gl: Any = moderngl
        try:
            self._context: Any = self._gl.create_context(standalone=True, backend="egl")
        except Exception as error:  # moderngl raises a bare Exception
            raise InputError(
                f"OpenGL without a screen is not available ({error}); on Debian: apt-get install libegl1 "
                "libgl1-mesa-dri"
            ) from error
        self._context.enable(moderngl.DEPTH_TEST)
        program = self._context.program
        self._lit = program(vertex_shader=_VERTEX_SHADER, fragment_shader=_LIT_SHADER)
        self._sky = program(vertex_shader=_VERTEX_SHADER, fragment_shader=_SKY_SHADER)
        self._values = program(vertex_shader=_VERTEX_SHADER, fragment_shader=_VALUES_SHADER)
        self._depth = program(vertex_shader=_VERTEX_SHADER, fragment_shader=_DEPTH_SHADER)
        self._shadow = self._context.depth_texture((SHADOW_PX, SHADOW_PX))
        self._shadow.compare_func = "<="
        self._shadow.repeat_x = self._shadow.repeat_y = False
        self._shadow_target = self._context.framebuffer(depth_attachment=self._shadow)
        self._targets: dict[tuple[int, int], Any] = {}

    def close(self) -> None:
        """Release the OpenGL context."""
        self._context.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def texture(self, image: NDArray[np.uint8]) -> Any:
        """Upload an sRGB picture (H, W, 3) uint8 RGB, row 0 at v = 0; `release()` it when done."""
        height, width = image.shape[:2]
        texture = self._context.texture((width, height), 3, np.ascontiguousarray(image).tobytes())
        texture.build_mipmaps()
        texture.filter = (self._gl.LINEAR_MIPMAP_LINEAR, self._gl.LINEAR)
        return texture

    def values_over_uv(self, mesh: Mesh, size_px: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Interpolate `mesh.normal`, which may hold any three values, over the texture.

        Returns:
            (S, S, 3) float32 and whether a triangle covers the texel, (S, S) bool; row 0 is v = 0.
        """
        flat = np.concatenate([mesh.uv * 2 - 1, np.zeros((len(mesh.uv), 1), np.float32)], axis=1)
        target = self._context.framebuffer(self._context.texture((size_px, size_px), 4, dtype="f4"))
        target.use()
        target.clear()
        self._values["to_clip"].write(np.eye(4, dtype=np.float32).tobytes())
        self._context.disable(self._gl.DEPTH_TEST)
        self._draw(self._values, Mesh(flat.astype(np.float32), mesh.normal, mesh.uv, mesh.triangles, mesh.tint))
        self._context.enable(self._gl.DEPTH_TEST)
        pixels = np.frombuffer(target.read(components=4, dtype="f4"), np.float32).reshape(size_px, size_px, 4)
        return pixels[..., :3].copy(), pixels[..., 3] > 0

    def draw(
        self,
        *,
        figures: list[Piece],
        scene: list[Piece],
        sky: Piece,
        light: Light,
        contacts: Floats,
        to_clip: Floats,
        to_light: Floats,
        eye: Floats,
        size_wh: tuple[int, int],
        ground_pieces: int,
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Draw one picture, linear RGB, and the mask of marked pieces.

        Args:
            figures: people and what they carry.
            scene: ground and objects; the first `ground_pieces` receive contact shadows.
            sky: unlit background.
            contacts: (N, 3) float32, x, z and radius in metres of contact shadows on the ground.
            to_clip: (4, 4) from metres to OpenGL's clip space.
            to_light: (4, 4) from metres to the shadow texture, 0..1.
            eye: (3,) position of the camera.

        Returns:
            (H, W, 3) float32 and (H, W) bool, row 0 on top.
        """
        self._cast_shadows(figures + scene[ground_pieces:], to_light)
        target = self._target(size_wh)
        target.use()
        target.clear(depth=1.0)
        self._sky["to_clip"].write(_columns(to_clip))
        sky.texture.use(0)
        self._sky["albedo"] = 0
        self._context.disable(self._gl.DEPTH_TEST)
        self._draw(self._sky, sky.mesh)
        self._context.enable(self._gl.DEPTH_TEST)
        lit = self._lit
        lit["to_clip"].write(_columns(to_clip))
        lit["to_light"].write(_columns(to_light))
        for name, value in (
            ("to_sun", light.to_sun),
            ("sun", light.sun),
            ("sky", light.sky),
            ("ground", light.ground),
            ("eye", eye),
        ):
            lit[name] = tuple(float(v) for v in value)
        lit["softness"] = light.softness
        lit["albedo"], lit["shadow"] = 0, 1
        self._shadow.use(1)
        used = np.zeros((CONTACTS, 3), np.float32)
        used[:, 2] = 1
        count = min(len(contacts), CONTACTS)
        used[:count] = contacts[:count]
        lit["contacts"] = count
        lit["contact"].write(used.tobytes())
        for number, piece in enumerate(scene + figures):
            piece.texture.use(0)
            lit["shine"] = piece.shine
            lit["mark"] = float(piece.marked)
            lit["grounded"] = float(number < ground_pieces)
            self._draw(lit, piece.mesh)
        width, height = size_wh
        pixels = np.frombuffer(target.read(components=4, dtype="f2"), np.float16)
        pixels = pixels.reshape(height, width, 4)[::-1]
        return np.ascontiguousarray(pixels[..., :3], np.float32), pixels[..., 3] > 0.5

    def _cast_shadows(self, pieces: list[Piece], to_light: Floats) -> None:
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        clip = np.array([[2, 0, 0, -1], [0, 2, 0, -1], [0, 0, 2, -1], [0, 0, 0, 1]], np.float32) @ to_light
        self._depth["to_clip"].write(_columns(clip))
        for piece in pieces:
            self._draw(self._depth, piece.mesh)

    def _draw(self, program: Any, mesh: Mesh) -> None:
        vertices = self._context.buffer(mesh.packed())
        indices = self._context.buffer(np.ascontiguousarray(mesh.triangles, np.int32).tobytes())
        names = {"position": "3f", "normal": "3f", "uv": "2f", "tint": "3f"}
        used = [name for name in names if name in program]
        layout = " ".join(form if name in used else f"{int(form[0]) * 4}x" for name, form in names.items())
        array = self._context.vertex_array(program, [(vertices, layout, *used)], indices)
        array.render()
        for part in (array, vertices, indices):
            part.release()

    def _target(self, size_wh: tuple[int, int]) -> Any:
        """Return a target of this size; targets are cached, because a camera uses few sizes."""
        if size_wh not in self._targets:
            if len(self._targets) > 64:
                for target in self._targets.values():
                    target.color_attachments[0].release()
                    target.depth_attachment.release()
                    target.release()
                self._targets.clear()
            self._targets[size_wh] = self._context.framebuffer(
                self._context.texture(size_wh, 4, dtype="f2"), self._context.depth_renderbuffer(size_wh)
            )
        return self._targets[size_wh]


def _columns(matrix: Floats) -> bytes:
    """Return the bytes of a matrix in OpenGL's column order."""
    return np.ascontiguousarray(matrix.T, np.float32).tobytes()
