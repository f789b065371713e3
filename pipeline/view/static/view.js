// The page of finished runs: the list of runs, and for one of them figures, recordings, timeline and details.
import { cameraColour } from "./colours.js";
import { ask, duration, element, titleOf } from "./common.js";
import { Lanes } from "./lanes.js";
import { Player } from "./player.js";
import { runClock } from "./run_clock.js";

const POLL_MS = 500;
const BEFORE_S = 0.3;
const CHECK_MS = 3000;
const STATES = {
  complete: ["good", "complete"],
  incomplete: ["wait", "incomplete: a recording could not be read to its end"],
  interrupted: ["wait", "interrupted"],
  killed: ["wait", "killed"],
  failed: ["bad", "failed"],
  running: ["bad", "killed, or still running"],
};
const state = { run: null, number: null, visit: null, runs: [] };
const find = (id) => document.getElementById(id);

function alertOf(text) {
  find("alert").textContent = text;
  find("alert").hidden = !text;
}

const clock = (timeS, stepS = null) => runClock(state.run, timeS, stepS);

const lanes = new Lanes({
  clock,
  onVisit: (camera, track) => { chooseVisit(camera, track); },
  onSeek: (timeS) => player.seek(timeS),
  onError: alertOf,
});
const player = new Player({
  clock,
  onTime: (timeS) => {
    lanes.setNow(timeS);
    if (player.playing) lanes.follow();
  },
});
lanes.onCameras = () => player.show(lanes.cameras);

function badge([look, word]) {
  return element("span", { class: `badge ${look}` }, word);
}

function dateOf(run) {
  return run.started_utc ? `${new Date(run.started_utc).toISOString().slice(0, 16).replace("T", " ")} UTC` : "date unknown";
}

function showRuns() {
  find("run-list").replaceChildren(...state.runs.map((run) => element("li", {},
    element("a", { href: `#run=${run.number}` }, run.name), " ",
    badge(STATES[run.state] ?? ["", run.state ?? "state unknown"]),
    element("p", { class: "hint" }, [
      run.kind === "live" ? "live" : "recordings", dateOf(run),
      `${run.cameras.length} ${run.cameras.length === 1 ? "camera" : "cameras"}: ${run.cameras.join(", ")}`,
      run.people === null ? "" : `${run.people} people`,
    ].filter(Boolean).join(" · ")))));
}

async function open(number) {
  state.number = number;
  state.run = null;
  for (;;) {
    let run;
    try {
      const response = await fetch(`/api/runs/${number}`, { cache: "no-store" });
      if (response.status === 401) location.assign("/login");
      run = await response.json();
    } catch (error) {
      alertOf("No answer: the program has ended.");
      return;
    }
    if (state.number !== number) return;
    if (run.error) {
      alertOf(run.error);
      find("state").className = "badge bad";
      find("state").textContent = "cannot be shown";
      return;
    }
    if (!run.reading) {
      alertOf("");
      showRun(run);
      return;
    }
    find("state").className = "badge wait";
    find("state").textContent = `reading: ${run.rows.toLocaleString()} rows`;
    await new Promise((done) => { setTimeout(done, POLL_MS); });
  }
}

// A purge or a review may have replaced the files of the run: then what is shown is forgotten, and read again.
async function checkForChanges() {
  const { run, number } = state;
  if (!run) return;
  const response = await fetch(`/api/runs/${number}/times_read`, { cache: "no-store" }).catch(() => null);
  if (!response || response.status === 401 || state.run !== run) return;
  const answer = await response.json();
  if (!answer.error && answer.times_read === run.times_read) return;
  closeVisit();
  lanes.clear();
  open(number);
}
setInterval(checkForChanges, CHECK_MS);

function showRun(run) {
  state.run = run;
  find("run").hidden = false;
  find("title").textContent = run.name;
  document.title = `${run.name} – mtmc view`;
  const [look, word] = STATES[run.state] ?? ["", run.state ?? "state unknown"];
  find("state").className = `badge ${look}`;
  find("state").textContent = word;
  const figures = {
    people: run.people.toLocaleString(), fragments: run.fragments.toLocaleString(), cameras: run.cameras.length,
    time: duration(run.end_s - run.start_s), rows: run.rows.toLocaleString(), started: dateOf(run),
  };
  find("figures").replaceChildren(...Object.entries(figures).map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))));
  const gaps = find("gaps");
  gaps.hidden = !run.gaps.length;
  gaps.firstElementChild.textContent = `${run.gaps.length} ${run.gaps.length === 1 ? "note" : "notes"} about this run`;
  gaps.lastElementChild.replaceChildren(...run.gaps.map((gap) => element("li", {}, gap)));
  closeVisit();
  lanes.open(state.number, run);
  player.open(state.number, run, lanes.cameras);
}

// -- details of a visit

async function chooseVisit(camera, track) {
  const key = `${camera}/${track}`;
  state.visit = key;
  lanes.choose(key);
  const place = `${encodeURIComponent(camera)}/${track}`;
  let visit;
  try {
    visit = await ask(`/api/runs/${state.number}/visits/${place}`);
  } catch (error) {
    alertOf("The details could not be read: the program may have ended.");
    return;
  }
  if (state.visit !== key) return;
  showVisit(visit);
  player.pause();
  player.seek(visit.start_s + Math.min(BEFORE_S, (visit.end_s - visit.start_s) / 2));
  showPictures(key, place);
}

function showVisit(visit) {
  const panel = find("path");
  panel.hidden = false;
  document.querySelector(".people").classList.add("with-path");
  find("path-heading").textContent =
    `${titleOf(visit)} in ${visit.camera_id}`;
  const link = visit.fragment ? "a track that nothing could be compared with" : `link ${Math.round(100 * visit.confidence)} %`;
  find("path-summary").textContent =
    `${clock(visit.start_s)} to ${clock(visit.end_s)} (${duration(visit.end_s - visit.start_s)}), ${visit.boxes} boxes, ` +
    `${link}${visit.final ? "" : ", provisional"}`;
  find("tracks").replaceChildren(...visit.tracks.map((track) => {
    const why = track.why.length ? track.why
      : [visit.decisions_known ? "Nothing is recorded about this track." : "The run recorded no decisions."];
    return element("details", {},
      element("summary", {}, `${visit.camera_id}:${track.track_id}, link ${Math.round(100 * track.confidence)} %: why`),
      element("ul", { class: "hint" }, ...why.map((text) => element("li", {}, text))));
  }));
  find("stops").replaceChildren(...visit.stays.map(([camera, startS, endS, track]) => {
    const button = element("button", { type: "button", class: "stop" },
      element("strong", {}, camera), " ", element("time", {}, `${clock(startS)} – ${clock(endS)}`));
    button.addEventListener("click", () => { chooseVisit(camera, track); });
    const item = element("li", {}, button);
    item.style.setProperty("--stop", cameraColour(Math.max(0, state.run.cameras.indexOf(camera))));
    return item;
  }));
  find("play-visit").onclick = () => {
    player.seek(visit.start_s);
    player.play();
    find("player-heading").scrollIntoView({ block: "start" });
  };
  find("path-heading").focus({ preventScroll: innerWidth >= 960 });
}

async function showPictures(key, place) {
  find("pictures").replaceChildren();
  find("picture-problems").replaceChildren(element("li", {}, "Pictures are being cut out …"));
  let answer;
  try {
    const response = await fetch(`/api/runs/${state.number}/pictures/${place}`, { cache: "no-store" });
    answer = await response.json();
  } catch (error) {
    answer = { pictures: [], problems: ["no answer: the recordings are slow to read"] };
  }
  if (state.visit !== key) return;
  find("pictures").replaceChildren(...answer.pictures.map((one) => {
    const [width, height] = one.size;
    const button = element("button", { type: "button", title: `Show ${one.camera_id} at ${clock(one.time_s)}` },
      element("img", { src: one.uri, width, height, alt: `${one.camera_id}, ${clock(one.time_s)}` }),
      element("span", {}, one.camera_id));
    button.addEventListener("click", () => { player.pause(); player.seek(one.time_s); });
    return button;
  }));
  find("picture-problems").replaceChildren(...(answer.problems ?? [answer.error]).map((text) => element("li", {}, `No picture of ${text}`)));
}

function closeVisit() {
  state.visit = null;
  find("path").hidden = true;
  document.querySelector(".people").classList.remove("with-path");
  lanes.choose(null);
}

// -- running

function route() {
  const match = /^#run=(\d+)$/.exec(location.hash);
  const single = state.runs.length === 1;
  alertOf("");
  if (match || single) {
    const number = match ? Number(match[1]) : 0;
    find("runs").hidden = true;
    find("all-runs").hidden = single;
    if (number !== state.number) {
      find("run").hidden = true;
      player.close();
      open(number);
    }
    return;
  }
  if (location.hash && location.hash !== "#") return;  // the link that skips to the timeline
  state.number = state.run = null;
  player.close();
  find("run").hidden = true;
  find("runs").hidden = false;
  find("all-runs").hidden = true;
  find("title").textContent = document.title = "mtmc view";
  find("state").className = "badge";
  find("state").textContent = `${state.runs.length} runs`;
  showRuns();
}

find("close-path").addEventListener("click", closeVisit);
addEventListener("keydown", (event) => { if (event.key === "Escape" && !find("path").hidden) closeVisit(); });
addEventListener("hashchange", route);
ask("/api/runs").then(({ runs }) => {
  state.runs = runs;
  route();
}, () => alertOf("No answer: the program has ended."));
