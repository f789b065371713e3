// Colours of cameras, from the style sheet, and of identities, the same as in the preview pictures.
const CAMERAS = 8;
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
const STRENGTHS = [[0.45, 1.0], [0.9, 1.0], [0.5, 0.75], [0.9, 0.6]];

export function cameraColour(index) {
  return `var(--camera-${index % CAMERAS})`;
}

export function idColour(id) {
  const [saturation, value] = STRENGTHS[id % STRENGTHS.length];
  const hue = (id * GOLDEN_RATIO) % 1;
  // From hue, saturation and value to hue, saturation and lightness, which CSS knows.
  const lightness = value * (1 - saturation / 2);
  const range = Math.min(lightness, 1 - lightness);
  const strength = range === 0 ? 0 : (value - lightness) / range;
  return `hsl(${(360 * hue).toFixed(1)} ${(100 * strength).toFixed(1)}% ${(100 * lightness).toFixed(1)}%)`;
}
