// Shows the status and the timeline of a live run; requests both repeatedly, but not while the page is hidden.
import { cameraColour, idColour } from "./colours.js";
import { ask, capital, clock, duration, element, inRows } from "./common.js";
import { drawFloor } from "./floor.js";
import { showSearch } from "./search.js";

const STATUS_MS = 1000;
const TIMELINE_MS = 2000;
const FIRST_LANES = 40;
const STATES = {
  up: ["good", "● up"],
  connecting: ["wait", "… connecting"],
  waiting: ["wait", "↻ waiting to retry"],
  stalled: ["bad", "■ stalled"],
  denied: ["bad", "✕ access denied"],
  ended: ["", "– ended"],
};
const CLOCKS = { rtcp: "camera's own", rtcp_corrected: "camera's own, corrected", host: "this machine's", file: "recording's" };

const state = { cameras: [], counted: "people", timeline: null, everybody: false, chosen: null, windowS: null, path: null };
const find = (id) => document.getElementById(id);

// "Person 7", "Car 7"; before the class is known, "Object 7" if there are other classes than people.
const nameOf = (visits, id) =>
  `${capital(visits[0]?.class_name ?? (state.counted === "people" ? "person" : "object"))} ${id}`;
const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
const listed = (counts) => Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ");

// -- status ---------------------------------------------------------------------------------------------------

function showStatus(status) {
  state.cameras = status.cameras.map((camera) => camera.name);
  state.counted = status.counted;
  find("timeline-heading").textContent = `${capital(status.counted)} by camera and time`;
  const up = status.cameras.filter((camera) => camera.state === "up").length;
  const ready = find("ready");
  const word = status.ready ? `● watching ${up} of ${status.cameras.length}` : "✕ not ready";
  if (ready.textContent !== word) ready.textContent = word;
  ready.className = `badge ${status.ready ? (up === status.cameras.length ? "good" : "wait") : "bad"}`;
  find("logout").hidden = !status.login;
  find("pictures-label").hidden = !status.preview;

  const problems = [];
  if (status.stuck) problems.push(`Stuck: ${status.stuck}.`);
  if (status.clock_ahead_s > 0) {
    problems.push(`The clock was set back: times of rows are ${status.clock_ahead_s.toFixed(0)} s ahead until a restart.`);
  }
  if (status.detector_problem) problems.push(`The detector fails: ${status.detector_problem}.`);
  if (!status.writer_ok) {
    problems.push(`Files cannot be written: ${status.writer_problem}; ${status.rows_waiting} rows wait in memory.`);
  }
  if (status.rows_lost) problems.push(`${status.rows_lost} rows were lost.`);
  const surplus = status.identities_forgotten.surplus || 0;
  if (surplus) {
    problems.push(`${surplus.toLocaleString()} ${status.counted} were forgotten, because more than `
      + `${status.identities_most.toLocaleString()} are known; they get a new id when they come back. `
      + "Raise linker.identity_memory_mb or linker.max_identities.");
  }
  if (status.reload_problem) problems.push(`The new configuration was refused: ${status.reload_problem}`);
  for (const sink of status.sinks) if (sink.problem) problems.push(`${sink.name}: ${sink.problem}`);
  alertOf("run", problems.join(" "));

  const median = status.row_latency_s["0.5"];
  const slowest = status.row_latency_s["0.99"];
  const figures = {
    [`${status.counted} in view`]: status.identities_now,
    [`${status.counted} so far`]: status.identities_total,
    "rows written": status.rows_written.toLocaleString(),
    "camera to file": median === undefined ? "–" : `${median.toFixed(2)} s (99 %: ${slowest.toFixed(2)} s)`,
    "running for": duration(status.uptime_s),
    memory: `${Math.round(status.memory_bytes / 1e6)} MB`,
  };
  find("figures").replaceChildren(
    ...Object.entries(figures).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))),
  );
  showCameras(status);
  showSearch(status);
}

function showCameras(status) {
  const list = find("cameras");
  const present = new Map([...list.children].map((item) => [item.dataset.camera, item]));
  status.cameras.forEach((camera, index) => {
    const item = present.get(camera.name) ?? list.appendChild(newCamera(camera.name));
    present.delete(camera.name);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    const [look, word] = STATES[camera.state] ?? ["", camera.state];
    const badge = item.querySelector(".badge");
    badge.textContent = word;
    badge.className = `badge ${look}`;
    item.querySelector(".swatch").style.background = cameraColour(index);
    const lost = sum(camera.dropped);
    const again = sum(camera.reconnects);
    const facts = [
      [status.counted, camera.people, ""],
      ["fps", camera.fps.toFixed(1), ""],
      ["used", camera.used_fps.toFixed(1), ""],
      ["skipped", camera.skipped_fps.toFixed(1), ""],
      ["age", camera.frame_age_s === null ? "–" : `${camera.frame_age_s.toFixed(2)} s`, "of the newest frame"],
      ["clock", camera.timestamps ?? "–", CLOCKS[camera.timestamps] ?? ""],
      ["skipped", lost, listed(camera.dropped)],
      ["reconnects", again, listed(camera.reconnects)],
    ];
    item.querySelector("dl").replaceChildren(...facts.flatMap(([name, value, more]) => [
      element("dt", { title: more || null }, name), element("dd", { title: more || null }, String(value)),
    ]));
    const problem = item.querySelector(".problem");
    problem.textContent = camera.problem;
    problem.hidden = !camera.problem;
    showPicture(item, camera, status);
  });
  for (const gone of present.values()) gone.remove();
}

function newCamera(name) {
  const picture = element("img", { alt: "" });
  picture.hidden = true;
  picture.addEventListener("error", () => { picture.hidden = true; });
  picture.addEventListener("load", () => { picture.hidden = false; });
  return element(
    "li", { class: "camera", "data-camera": name },
    picture,
    element("div", { class: "text" },
      element("div", { class: "bar" },
        element("h3", {}, element("span", { class: "swatch" }), name),
        element("span", { class: "badge" })),
      element("dl"),
      element("p", { class: "problem" })),
  );
}

function showPicture(item, camera, { counted, preview }) {
  const picture = item.querySelector("img");
  if (!preview || !find("pictures").checked || camera.state !== "up") {
    picture.hidden = true;
    return;
  }
  picture.alt = `Camera ${camera.name}, ${camera.people} ${counted}`;
  picture.src = `/api/preview/${encodeURIComponent(camera.name)}.jpg?t=${Date.now()}`;
}

// -- timeline -------------------------------------------------------------------------------------------------

function showTimeline() {
  const { timeline } = state;
  if (!timeline) return;
  offerWindows(timeline.window_s);
  const endS = timeline.now_s;
  const beginS = endS - state.windowS;
  const people = new Map();
  for (const visit of timeline.visits) {
    if (visit.end_s < beginS) continue;
    if (!people.has(visit.global_id)) people.set(visit.global_id, []);
    people.get(visit.global_id).push(visit);
  }
  const newest = (visits) => Math.max(...visits.map((visit) => visit.end_s));
  const begun = (visits) => Math.min(...visits.map((visit) => visit.start_s));
  // People in view keep their place in the list while others come and go.
  const inView = (visits) => newest(visits) > endS - 3;
  const ordered = [...people].sort(([, a], [, b]) =>
    inView(b) - inView(a) || (inView(a) ? begun(b) - begun(a) : newest(b) - newest(a)));
  const shown = state.everybody ? ordered : ordered.slice(0, FIRST_LANES);

  find("legend").replaceChildren(...state.cameras.map((name, index) => {
    const swatch = element("span", { class: "swatch" });
    swatch.style.background = cameraColour(index);
    return element("li", {}, swatch, name);
  }));
  showAxis(beginS, endS);
  const lanes = find("lanes");
  const present = new Map([...lanes.children].map((item) => [item.dataset.id, item]));
  shown.forEach(([id, visits], place) => {
    const item = present.get(String(id)) ?? newLane(id);
    present.delete(String(id));
    if (lanes.children[place] !== item) lanes.insertBefore(item, lanes.children[place] ?? null);
    fillLane(item, id, visits, beginS, endS);
  });
  for (const gone of present.values()) gone.remove();
  find("nobody").hidden = shown.length > 0;
  const more = find("more");
  more.hidden = ordered.length <= FIRST_LANES;
  more.textContent = state.everybody ? "Show fewer" : `Show all ${ordered.length} ${state.counted}`;
}

function offerWindows(longestS) {
  const select = find("window");
  if (select.options.length) return;
  const offered = [60, 300, 900, 1800, 3600].filter((seconds) => seconds < longestS).concat(longestS);
  for (const seconds of offered) select.append(element("option", { value: seconds }, `${seconds / 60} min`));
  state.windowS = offered.find((seconds) => seconds >= 300) ?? longestS;
  select.value = String(state.windowS);
}

function showAxis(beginS, endS) {
  const ticks = 4;
  find("axis").replaceChildren(...Array.from({ length: ticks + 1 }, (_, index) => {
    const tick = element("span", {}, clock(beginS + ((endS - beginS) * index) / ticks));
    tick.style.left = `${(100 * index) / ticks}%`;
    return tick;
  }));
}

function newLane(id) {
  const dot = element("i");
  dot.style.background = idColour(id);
  const button = element("button", { class: "lane", type: "button", "aria-pressed": "false" },
    element("span", { class: "id" }, dot, String(id)),
    element("span", { class: "track" }));
  button.addEventListener("click", () => { location.hash = state.chosen === id ? "" : `id=${id}`; });
  return element("li", { "data-id": id }, button);
}

function fillLane(item, id, visits, beginS, endS) {
  const button = item.firstElementChild;
  const cameras = [...new Set(visits.map((visit) => visit.camera_id))];
  button.setAttribute("aria-label", `${nameOf(visits, id)}: ${cameras.join(", then ")}. Show the path`);
  button.setAttribute("aria-pressed", String(state.chosen === id));
  const track = button.querySelector(".track");
  const present = new Map([...track.children].map((bar) => [bar.dataset.key, bar]));
  for (const { visit, row, rows } of inRows(visits)) {
    const key = `${visit.camera_id}/${visit.track_id}`;
    const bar = present.get(key) ?? track.appendChild(element("span", { class: "visit", "data-key": key }));
    present.delete(key);
    const left = Math.max(0, (visit.start_s - beginS) / (endS - beginS));
    const width = (visit.end_s - beginS) / (endS - beginS) - left;
    bar.style.left = `${100 * left}%`;
    bar.style.width = `${100 * width}%`;
    bar.style.top = `${(100 * row) / rows}%`;
    bar.style.height = `${100 / rows}%`;
    bar.style.background = cameraColour(Math.max(0, state.cameras.indexOf(visit.camera_id)));
    bar.className = visit.final ? "visit" : "visit provisional";
    bar.title = `${visit.camera_id}, ${clock(visit.start_s)} to ${clock(visit.end_s)}`;
    bar.textContent = rows === 1 && width * track.clientWidth > 8 * visit.camera_id.length + 8 ? visit.camera_id : "";
  }
  for (const gone of present.values()) gone.remove();
}

// -- one person's path ----------------------------------------------------------------------------------------

function stopsOf(visits) {
  // Tracks of one camera that follow each other within three seconds are one stay.
  const stops = [];
  for (const visit of visits) {
    const before = stops.findLast((stop) => stop.camera_id === visit.camera_id);
    if (before && visit.start_s - before.end_s < 3) {
      before.end_s = Math.max(before.end_s, visit.end_s);
      before.confidence = Math.min(before.confidence, visit.confidence);
    } else {
      stops.push({ ...visit });
    }
  }
  return stops;
}

function showPath() {
  const panel = find("path");
  panel.hidden = state.chosen === null;
  document.querySelector(".people").classList.toggle("with-path", !panel.hidden);
  for (const item of find("lanes").children) {
    item.firstElementChild.setAttribute("aria-pressed", String(Number(item.dataset.id) === state.chosen));
  }
  if (panel.hidden) return;
  const visits = state.path;
  find("path-heading").textContent = nameOf(visits ?? [], state.chosen);
  if (!visits) {
    find("path-summary").textContent = "Not seen in the last minutes.";
    find("stops").replaceChildren();
    find("floor").hidden = true;
    return;
  }
  const stops = stopsOf(visits);
  const cameras = new Set(stops.map((stop) => stop.camera_id));
  const lastS = Math.max(...stops.map((stop) => stop.end_s));
  find("path-summary").textContent =
    `${cameras.size} ${cameras.size === 1 ? "camera" : "cameras"}, ` +
    `first seen ${clock(stops[0].start_s)}, last seen ${clock(lastS)}`;
  find("stops").replaceChildren(...stops.map((stop) => {
    const item = element("li", {},
      element("strong", {}, stop.camera_id), " ",
      element("time", {}, `${clock(stop.start_s)} – ${clock(stop.end_s)}`),
      element("p", { class: "hint" },
        `${duration(stop.end_s - stop.start_s)}, link ${Math.round(100 * stop.confidence)} %` +
        (stop.final ? "" : ", provisional")));
    item.style.setProperty("--stop", cameraColour(Math.max(0, state.cameras.indexOf(stop.camera_id))));
    return item;
  }));
  const scale = drawFloor(find("floor-plan"), visits, (name) => cameraColour(Math.max(0, state.cameras.indexOf(name))));
  find("floor").hidden = scale === null;
  find("floor-scale").textContent = scale === null ? "" : `Squares are ${scale} m wide.`;
}

async function loadPath() {
  if (state.chosen === null) return;
  try {
    const answer = await ask(`/api/identities/${state.chosen}`);
    if (answer.global_id === state.chosen) state.path = answer.visits;
  } catch (error) {
    state.path = null;
  }
  showPath();
}

function choose() {
  const match = /^#id=(\d+)$/.exec(location.hash);
  const before = state.chosen;
  state.chosen = match ? Number(match[1]) : null;
  if (state.chosen !== before) state.path = null;
  if (state.chosen === null) {
    showPath();
    find("lanes").querySelector(`[data-id="${before}"] button`)?.focus();
  } else {
    loadPath().then(() => find("path-heading").focus({ preventScroll: innerWidth >= 960 }));
  }
}

// -- running --------------------------------------------------------------------------------------------------

const alerts = new Map();
function alertOf(source, text) {
  if (text) alerts.set(source, text);
  else alerts.delete(source);
  const box = find("alert");
  const whole = [...alerts.values()].join(" ");
  if (box.textContent !== whole) box.textContent = whole;
  box.hidden = !whole;
}

let lastAnswer = Date.now() / 1000;
async function repeat(work, periodMs) {
  if (!document.hidden) {
    try {
      await work();
      lastAnswer = Date.now() / 1000;
      alertOf("connection", "");
    } catch (error) {
      find("ready").textContent = "✕ no connection";
      find("ready").className = "badge bad";
      alertOf("connection", `No answer from the tracker since ${clock(lastAnswer)}; the figures shown are old. Trying again.`);
    }
  }
  setTimeout(repeat, periodMs, work, periodMs);
}

find("window").addEventListener("change", (event) => {
  state.windowS = Number(event.target.value);
  showTimeline();
});
find("more").addEventListener("click", () => {
  state.everybody = !state.everybody;
  showTimeline();
});
find("close-path").addEventListener("click", () => { location.hash = ""; });
addEventListener("keydown", (event) => { if (event.key === "Escape" && state.chosen !== null) location.hash = ""; });
addEventListener("hashchange", choose);

repeat(async () => showStatus(await ask("/api/status")), STATUS_MS);
repeat(async () => {
  state.timeline = await ask("/api/timeline");
  showTimeline();
  await loadPath();
}, TIMELINE_MS);
choose();
