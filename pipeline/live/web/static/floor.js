// Draws a person's path over the floor.
const SVG = "http://www.w3.org/2000/svg";
const MARGIN_M = 1;

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Fills `svg` with the places (time, x, y in metres) of the visits; returns the width of a grid square in metres, or
// null if there are fewer than two places.
export function drawFloor(svg, visits, colourOf) {
  const places = visits.flatMap((visit) => visit.places);
  if (places.length < 2) return null;
  const xs = places.map(([, x]) => x);
  const ys = places.map(([, , y]) => y);
  const left = Math.min(...xs) - MARGIN_M;
  const top = Math.min(...ys) - MARGIN_M;
  const width = Math.max(...xs) + MARGIN_M - left;
  const height = Math.max(...ys) + MARGIN_M - top;
  const square = [1, 2, 5, 10, 20, 50, 100].find((metres) => Math.max(width, height) / metres <= 15) ?? 1000;
  const unit = Math.max(width, height) / 100;
  const grid = [];
  for (let x = Math.ceil(left / square) * square; x < left + width; x += square) grid.push(`M${x} ${top}v${height}`);
  for (let y = Math.ceil(top / square) * square; y < top + height; y += square) grid.push(`M${left} ${y}h${width}`);
  svg.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
  svg.replaceChildren(
    shape("path", { d: grid.join(""), stroke: "currentColor", "stroke-opacity": 0.15, "stroke-width": unit * 0.3 }),
    ...visits.filter((visit) => visit.places.length).map((visit) => {
      const line = shape("polyline", {
        points: visit.places.map(([, x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" "),
        fill: "none",
        "stroke-width": unit * 1.4,
        "stroke-linejoin": "round",
        "stroke-linecap": "round",
        "stroke-opacity": 0.85,
      });
      line.style.stroke = colourOf(visit.camera_id);
      return line;
    }),
  );
  const first = places.reduce((a, b) => (b[0] < a[0] ? b : a));
  svg.append(shape("circle", {
    cx: first[1], cy: first[2], r: unit * 2, fill: "none", stroke: "currentColor", "stroke-width": unit * 0.7,
  }));
  return square;
}
