// Pairs of points in a picture and on the floor: clicked or typed here, fitted by the program.
const SVG = "http://www.w3.org/2000/svg";
const FIT_AFTER_MS = 150;
// Height of a picture that fits the window, as in page.css.
const VISIBLE_VH = 70;
const find = (id) => document.getElementById(id);

// A point has image [x, y] in px; its floor texts are in metres, and empty until they are known.
const state = { picture: null, plan: null, points: [], chosen: null, ruler: null, fit: null, saved: true, ended: false };
let timer = 0;
let asked = 0;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function shape(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

async function ask(path, content) {
  const options = content === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content),
  };
  const response = await fetch(path, { cache: "no-store", ...options });
  if (response.status === 401) location.assign("/login");
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `${path}: ${response.status}`);
  return answer;
}

// A decimal comma is accepted; "" and words are no numbers.
function number(text) {
  const value = Number(String(text).trim().replace(",", "."));
  return String(text).trim() === "" || !Number.isFinite(value) ? null : value;
}

const short = (value, digits) => String(Number(value.toFixed(digits)));
const planScale = () => { const scale = number(find("plan-scale").value); return scale > 0 ? scale : null; };
const floorOf = (point) => { const xy = point.floor.map(number); return xy.includes(null) ? null : xy; };
const complete = () => state.points.filter((point) => floorOf(point) !== null && !point.image.includes(null));
const rows = () => complete().map((point) => [...point.image, ...floorOf(point)]);

function tell(text) {
  find("alert").textContent = text;
  find("alert").hidden = !text;
}

// -- changes ------------------------------------------------------------------------------------------------------

function changed() {
  state.saved = false;
  draw();
  clearTimeout(timer);
  timer = setTimeout(fit, FIT_AFTER_MS);
}

async function fit() {
  const mine = ++asked;
  const points = complete();
  try {
    const answer = await ask("/api/fit", { pairs: points.map((point) => [...point.image, ...floorOf(point)]) });
    if (mine !== asked) return; // a newer one is under way
    state.fit = { ...answer, points };
    tell("");
  } catch (error) {
    if (mine === asked && !state.ended) tell(`The fit failed: ${error.message}`);
  }
  draw();
}

function addPoint(xy) {
  const waiting = state.points.find((point) => floorOf(point) === null && point === state.chosen);
  if (waiting && state.plan && waiting.floor.every((text) => text === "")) {
    waiting.image = xy; // clicked again before the plan: a correction
  } else {
    state.chosen = { image: xy, floor: ["", ""] };
    state.points.push(state.chosen);
  }
  buildTable();
  changed();
  if (!state.plan) rowOf(state.chosen).querySelector(".floor").focus();
}

function clickPlan(xy) {
  if (state.ruler) {
    state.ruler.push(xy);
    if (state.ruler.length > 2) state.ruler = [xy];
    find("distance-label").hidden = state.ruler.length < 2;
    if (state.ruler.length === 2) find("distance").focus();
    draw();
    return;
  }
  const scale = planScale();
  if (scale === null) {
    tell("Set the scale of the plan first: type the metres per pixel, or choose “Measure scale”.");
    return;
  }
  const point = state.chosen ?? state.points.find((one) => floorOf(one) === null);
  if (!point) {
    tell("Click the point in the picture first.");
    return;
  }
  point.floor = xy.map((value) => short(value * scale, 3));
  state.chosen = null;
  tell("");
  buildTable();
  changed();
}

function measured() {
  const metres = number(find("distance").value);
  if (!(metres > 0) || state.ruler?.length !== 2) return;
  const [[ax, ay], [bx, by]] = state.ruler;
  const pixels = Math.hypot(ax - bx, ay - by);
  if (pixels === 0) return;
  find("plan-scale").value = Number((metres / pixels).toPrecision(6));
  stopRuler();
  draw();
}

function stopRuler() {
  state.ruler = null;
  find("measure").setAttribute("aria-pressed", "false");
  find("distance-label").hidden = true;
}

async function save() {
  const points = complete().length;
  const answer = await ask("/api/save", { pairs: rows(), plan_scale: planScale() });
  state.saved = true;
  draw();
  find("saved").textContent = `saved ${answer.pairs} pairs`;
  if (points < state.points.length) tell(`${state.points.length - points} points without a floor position were not saved.`);
}

// -- drawing ------------------------------------------------------------------------------------------------------

function hint() {
  if (state.ruler) return "Click two points on the plan whose distance you know, then type the distance.";
  if (state.chosen && state.plan && planScale() !== null) return "Now click the same point on the plan, or type its position in metres.";
  if (state.chosen) return "Type the position of this point on the floor, in metres.";
  return "Click a point of the floor in the picture: the corner of a tile, the foot of a pillar, a mark. Choose points far apart, near and far.";
}

function drawStage(id, size, zoom, shapes) {
  const svg = find(id).querySelector("svg");
  svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
  // Marks have the same size on the screen at every zoom.
  const unit = size[0] / Math.max(1, find(id).clientWidth);
  svg.replaceChildren(...shapes(unit));
  find(id).style.width = `calc(${zoom} * min(100%, ${VISIBLE_VH}vh * ${size[0] / size[1]}))`;
}

function dot([x, y], text, kind, unit) {
  return [
    shape("circle", { class: `dot ${kind}`, cx: x, cy: y, r: 5 * unit, "stroke-width": 2 * unit }),
    shape("text", { class: "number", x: x + 8 * unit, y: y - 6 * unit, "font-size": 14 * unit, "stroke-width": 3 * unit }, text),
  ];
}

const kindOf = (point) => (point === state.chosen ? "chosen" : floorOf(point) === null ? "pending" : "");

function draw() {
  if (state.ended) return;
  find("hint").textContent = hint();
  find("saved").textContent = !state.saved ? "not saved" : state.points.length ? "saved" : "no points yet";
  find("saved").className = `badge ${state.saved ? "good" : "wait"}`;
  if (state.picture) {
    drawStage("picture", state.picture.size_wh, Number(find("picture-zoom").value), (unit) => [
      ...(state.fit?.grid_px ?? []).map((line) => shape("polyline", { class: "grid", points: line.map((xy) => xy.join(",")).join(" "), "stroke-width": 1.2 * unit })),
      ...state.points.flatMap((point, index) => (point.image.includes(null) ? [] : dot(point.image, index + 1, kindOf(point), unit))),
    ]);
  }
  const scale = planScale();
  if (state.plan) {
    drawStage("plan", state.plan.size_wh, Number(find("plan-zoom").value), (unit) => [
      ...(scale === null ? [] : state.points.flatMap((point, index) => {
        const floor = floorOf(point);
        return floor === null ? [] : dot(floor.map((value) => value / scale), index + 1, kindOf(point), unit);
      })),
      ...(state.ruler?.length === 2 ? [shape("line", { class: "ruler", x1: state.ruler[0][0], y1: state.ruler[0][1], x2: state.ruler[1][0], y2: state.ruler[1][1], "stroke-width": 2 * unit })] : []),
      ...(state.ruler ?? []).flatMap((xy, index) => dot(xy, "AB"[index], "chosen", unit)),
    ]);
  }
  drawFit();
}

function drawFit() {
  const { fit: found } = state;
  find("summary").textContent = found?.summary ?? found?.problem ?? "";
  find("warnings").replaceChildren(...(found?.warnings ?? []).map((text) => element("li", {}, text)));
  find("yaml").textContent = found?.yaml ?? "";
  find("yaml").parentElement.hidden = !found?.yaml;
  for (const point of state.points) {
    const row = rowOf(point);
    if (!row) continue;
    const at = found?.error_m ? found.points.indexOf(point) : -1;
    row.classList.toggle("chosen", point === state.chosen);
    row.classList.toggle("left-out", at >= 0 && !found.used[at]);
    row.querySelector(".error-m").textContent = at < 0 ? "–" : found.error_m[at].toFixed(3);
    row.querySelector(".error-px").textContent = at < 0 ? "–" : `${found.error_px[at].toFixed(1)}${found.used[at] ? "" : " left out"}`;
  }
}

const rowOf = (point) => find("points").children[state.points.indexOf(point)];

function field(label, value, kind, take) {
  const input = element("input", { "aria-label": label, inputmode: "decimal", autocomplete: "off", class: kind });
  input.value = value;
  input.addEventListener("input", () => {
    input.classList.toggle("wrong", input.value.trim() !== "" && number(input.value) === null);
    take(input.value);
    changed();
  });
  return element("td", {}, input);
}

function buildTable() {
  find("points").replaceChildren(...state.points.map((point, index) => {
    const name = `point ${index + 1}`;
    const remove = element("button", { "aria-label": `remove ${name}` }, "×");
    remove.addEventListener("click", () => {
      state.points = state.points.filter((one) => one !== point);
      if (state.chosen === point) state.chosen = null;
      buildTable();
      changed();
    });
    const row = element(
      "tr", {}, element("td", {}, String(index + 1)),
      ...[0, 1].map((axis) => field(`${name}: image ${"xy"[axis]} in pixels`, point.image[axis] === null ? "" : short(point.image[axis], 1), "image", (text) => { point.image[axis] = number(text); })),
      ...[0, 1].map((axis) => field(`${name}: floor ${"xy"[axis]} in metres`, point.floor[axis], "floor", (text) => { point.floor[axis] = text; })),
      element("td", { class: "error error-m" }, "–"), element("td", { class: "error error-px" }, "–"), element("td", {}, remove),
    );
    row.addEventListener("focusin", (event) => {
      if (!event.target.matches("input")) return;
      state.chosen = point;
      draw();
    });
    return row;
  }));
}

// -- start --------------------------------------------------------------------------------------------------------

function placeOf(event, stage, size) {
  const box = stage.getBoundingClientRect();
  const at = [(event.clientX - box.left) / box.width * size[0], (event.clientY - box.top) / box.height * size[1]];
  return at.map((value, axis) => Number(Math.min(Math.max(value, 0), size[axis]).toFixed(1)));
}

async function act(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    tell(error.message);
  }
  button.disabled = false;
}

async function start() {
  const found = await ask("/api/state");
  state.picture = found.picture;
  state.plan = found.plan;
  state.points = found.pairs.map(([x, y, ...floor]) => ({ image: [x, y], floor: floor.map((value) => short(value, 6)) }));
  find("picture-heading").textContent = found.picture.name;
  find("file").textContent = found.file;
  find("picture").querySelector("img").src = "/picture.png";
  find("picture").addEventListener("click", (event) => addPoint(placeOf(event, find("picture"), state.picture.size_wh)));
  if (state.plan) {
    find("plan-section").hidden = false;
    document.querySelector(".views").classList.add("two");
    find("plan-heading").textContent = found.plan.name;
    find("plan-scale").value = found.plan_scale ?? "";
    find("plan").querySelector("img").src = "/plan.png";
    find("plan").addEventListener("click", (event) => clickPlan(placeOf(event, find("plan"), state.plan.size_wh)));
    find("plan-scale").addEventListener("input", draw);
    find("distance").addEventListener("change", measured);
    find("measure").addEventListener("click", () => {
      if (state.ruler) { stopRuler(); } else { state.ruler = []; find("measure").setAttribute("aria-pressed", "true"); }
      draw();
    });
  }
  for (const id of ["picture", "plan"]) {
    find(`${id}-zoom`).addEventListener("change", () => { draw(); draw(); }); // the second time with the new width
    find(id).querySelector("img").addEventListener("load", draw);
  }
  find("save").addEventListener("click", () => act(find("save"), save));
  find("finish").addEventListener("click", () => act(find("finish"), async () => {
    await save();
    state.ended = true;
    await ask("/api/finish", {});
    document.querySelector("main").replaceChildren(element("p", { class: "ended" }, "Saved. The command has ended and printed the homography; close this page."));
  }));
  addEventListener("resize", draw);
  addEventListener("beforeunload", (event) => { if (!state.saved && !state.ended) event.preventDefault(); });
  buildTable();
  draw();
  fit();
}

start().catch((error) => tell(`The page cannot be started: ${error.message}`));
