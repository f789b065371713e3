// The page on which a person corrects the identities of a run. The server keeps the state; each step returns it anew.
import { idColour } from "./colours.js";
import { ask, capital, element, titleOf } from "./common.js";
import { runClock } from "./run_clock.js";

const POLL_MS = 500;
const FRAME_WAIT_MS = 60;
const FRAME_WIDTH_PX = 960;
const find = (id) => document.getElementById(id);
// `chosen` is a track with its person and the track beside it; `place` its row in the list.
const state = { run: null, tab: "links", items: [], place: 0, chosen: null, momentS: 0, busy: false, pictures: 0 };
const clock = (timeS) => runClock(state.run, timeS);
const nameOf = (track) => `${track.camera_id}:${track.track_id}`;
const same = (one, other) => Boolean(one && other) && nameOf(one) === nameOf(other);
const percent = (share) => `${Math.round(100 * share)} %`;

function alertOf(text) {
  find("alert").textContent = text;
  find("alert").hidden = !text;
}

function personOf(globalId) {
  return state.run.people.find((person) => person.global_id === globalId);
}

// -- the state of the run

async function read() {
  for (;;) {
    let run;
    try {
      run = await ask("/api/review");
    } catch (error) {
      alertOf("The run cannot be shown: the program has ended, or its rows cannot be read.");
      return;
    }
    if (!run.reading) {
      take(run);
      return;
    }
    find("state").className = "badge wait";
    find("state").textContent = `reading: ${run.rows.toLocaleString()} rows`;
    await new Promise((done) => { setTimeout(done, POLL_MS); });
  }
}

function take(run) {
  const tracks = run.people.flatMap((person) => person.tracks);
  run.start_s = Math.min(...tracks.map((track) => track.start_s), 0);
  run.end_s = Math.max(...tracks.map((track) => track.end_s), 0);
  if (!state.run && !run.links.length) state.tab = "people";
  state.run = run;
  find("review").hidden = false;
  find("title").textContent = run.name;
  document.title = `${run.name} – mtmc review`;
  find("told").textContent = run.told;
  for (const name of ["undo", "redo"]) {
    find(name).disabled = run[name] === null;
    find(name).title = run[name] === null ? `Nothing to ${name}` : `${capital(name)}: ${run[name]}`;
  }
  showSaved(run);
  if (!run.saved) setTimeout(watchSaved, POLL_MS);
  showList();
}

function showSaved({ saved, problem }) {
  const steps = `${state.run.steps} ${state.run.steps === 1 ? "step" : "steps"}`;
  const [look, word] = problem ? ["bad", "not in trajectories.csv"] : saved ? ["good", "saved"] : ["wait", "writing"];
  find("state").className = `badge ${look}`;
  find("state").textContent = `${steps}, ${word}`;
  if (problem) alertOf(problem);
}

async function watchSaved() {
  try {
    const found = await ask("/api/review/saved");
    showSaved(found);
    if (!found.saved && !found.problem) setTimeout(watchSaved, POLL_MS);
  } catch (error) {
    alertOf("No answer: the program has ended. Steps that it has told are saved.");
  }
}

async function step(content) {
  if (state.busy) return;
  state.busy = true;
  try {
    const response = await fetch("/api/review/steps", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content), cache: "no-store",
    });
    if (response.status === 401) location.assign("/login");
    const answer = await response.json();
    alertOf(answer.error ?? "");
    if (response.ok) take(answer);
  } catch (error) {
    alertOf("No answer: the program has ended. The last step was not made.");
  } finally {
    state.busy = false;
  }
}

// -- the list

function itemsOf(run) {
  if (state.tab === "links") return run.links.map((link) => ({ ...link, key: nameOf(link) }));
  return run.people.flatMap((person) => {
    const sides = person.tracks.map((track) => ({ global_id: person.global_id, ...track }));
    const open = state.open === person.global_id;
    const beside = (track) => sides.find((other) => !same(other, track)) ?? null;
    const head = { ...sides[0], beside: beside(sides[0]), person, reasons: [], key: `person ${person.global_id}` };
    return [head, ...(open && sides.length > 1
      ? sides.map((track) => ({ ...track, beside: beside(track), reasons: [], key: nameOf(track), sub: true })) : [])];
  });
}

function showList() {
  const { run } = state;
  const before = state.items[state.place]?.key;
  state.items = itemsOf(run);
  const again = state.items.findIndex((item) => item.key === before);
  state.place = Math.min(again >= 0 ? again : state.place, Math.max(state.items.length - 1, 0));
  const people = run.people.filter((person) => !person.fragment);
  find("tab-links").textContent = `Links (${run.all_links})`;
  find("tab-people").textContent = `People (${people.length})`;
  find("tab-links").setAttribute("aria-pressed", String(state.tab === "links"));
  find("tab-people").setAttribute("aria-pressed", String(state.tab === "people"));
  const deleted = run.deleted ? `; ${run.deleted} ${run.deleted === 1 ? "track" : "tracks"} with ${run.deleted_rows} rows deleted` : "";
  const permanent = run.permanent_steps ? `; ${run.permanent_steps} steps from before a purge cannot be undone` : "";
  const confirmed = run.people.filter((person) => person.confirmed).length;
  const more = run.all_links - run.links.length;
  find("list-hint").textContent = state.tab === "links"
    ? (run.all_links ? `${run.doubtful} are doubtful; the least sure is first` : "Everybody with several tracks is confirmed.")
      + (more ? `; ${more} more follow` : "")
    : `${confirmed} of ${run.people.length} are confirmed${deleted}${permanent}`;
  fillList();
  choose(state.place, false);
}

function fillList() {
  const list = find("list");
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...state.items.map((item, place) => row(item, place)));
  if (focused) list.querySelectorAll("button")[state.place]?.focus();
}

function row(item, place) {
  const person = personOf(item.global_id);
  const dot = element("span", { class: "dot" });
  dot.style.background = idColour(item.global_id);
  const count = person.tracks.length;
  const text = item.person ? [titleOf(person), `${count} ${count === 1 ? "track" : "tracks"}${person.confirmed ? " ✓" : ""}`]
    : [item.sub ? nameOf(item) : `${nameOf(item)} in ${titleOf(person)}`, percent(item.confidence)];
  const button = element("button", { type: "button", "data-key": item.key, class: item.doubtful ? "doubtful" : "" },
    dot, element("span", { class: "who" }, text[0]), element("small", {}, text[1]));
  button.addEventListener("click", () => { choose(place); });
  return element("li", { class: item.sub ? "sub" : "" }, button);
}

function choose(place, reopen = true) {
  state.place = place;
  const item = state.items[place] ?? null;
  if (reopen && item?.person && state.open !== item.global_id) {
    state.open = item.global_id;
    const key = item.key;
    state.items = itemsOf(state.run);
    state.place = state.items.findIndex((one) => one.key === key);
    fillList();
  }
  find("list").querySelectorAll("button").forEach((button, at) => {
    button.setAttribute("aria-current", String(at === state.place));
    if (at === state.place) button.scrollIntoView({ block: "nearest" });
  });
  show(state.items[state.place] ?? null);
}

function move(stepBy) {
  if (state.items.length) choose(Math.min(Math.max(state.place + stepBy, 0), state.items.length - 1));
}

function showTab(tab) {
  state.tab = tab;
  state.place = 0;
  state.items = [];
  showList();
}

// -- the chosen track and the one beside it

function show(item) {
  state.chosen = item;
  for (const button of find("actions").querySelectorAll("button")) button.disabled = !item;
  find("track-side").hidden = !item;
  find("beside-side").hidden = !item?.beside;
  find("moment").hidden = !item;
  find("reasons").replaceChildren(...(item?.reasons ?? []).map((text) => element("li", {}, text)));
  if (!item) {
    find("subject-heading").textContent = state.tab === "links" ? "No link is left to look at" : "Nobody is left";
    state.moment = null;
    return;
  }
  const person = personOf(item.global_id);
  const { beside } = item;
  const question = !beside ? `Is ${titleOf(person)} right?` : beside.global_id === item.global_id
    ? `Is this one person, ${titleOf(person)}?` : `Are ${titleOf(person)} and ${titleOf(personOf(beside.global_id))} one person?`;
  find("subject-heading").textContent = question;
  find("actions").querySelector('[data-do="confirm"]').firstChild.textContent =
    person.confirmed ? "Not confirmed " : "Confirm ";
  const order = ++state.pictures;
  showSide(find("track-side"), item, order);
  if (beside) showSide(find("beside-side"), beside, order);
  showMoment(item);
}

async function showSide(side, track, order) {
  const person = personOf(track.global_id);
  const dot = element("span", { class: "dot" });
  dot.style.background = idColour(track.global_id);
  const pictures = element("div", { class: "pictures" });
  const problems = element("ul", { class: "hint" }, element("li", {}, "Pictures are being cut out …"));
  side.replaceChildren(
    element("h3", {}, dot, ` ${titleOf(person)}${person.confirmed ? " ✓" : ""}`),
    element("p", { class: "hint" }, `${nameOf(track)}, ${clock(track.start_s)} to ${clock(track.end_s)}, ${track.boxes} boxes, link ${percent(track.confidence)}`),
    pictures, problems);
  let answer;
  try {
    const response = await fetch(`/api/review/pictures/${encodeURIComponent(track.camera_id)}/${track.track_id}`, { cache: "no-store" });
    answer = await response.json();
  } catch (error) {
    answer = { pictures: [], problems: ["no answer: the recordings are slow to read"] };
  }
  if (order !== state.pictures) return;
  pictures.replaceChildren(...(answer.pictures ?? []).map((one) => {
    const [width, height] = one.size;
    const button = element("button", { type: "button", title: `Show ${one.camera_id} at ${clock(one.time_s)}` },
      element("img", { src: one.uri, width, height, alt: `${one.camera_id}, ${clock(one.time_s)}` }), element("span", {}, clock(one.time_s)));
    button.addEventListener("click", () => { showMoment(track, one.time_s); });
    return button;
  }));
  problems.replaceChildren(...(answer.problems ?? [answer.error]).map((text) => element("li", {}, `No picture of ${text}`)));
}

// -- the moment at which a track can be split

function showMoment(track, momentS = null) {
  state.moment = track;
  const seek = find("seek");
  seek.min = track.start_s;
  seek.max = track.end_s;
  seek.step = "any";
  setMoment(momentS ?? (track.start_s + track.end_s) / 2);
}

function setMoment(momentS) {
  const track = state.moment;
  state.momentS = Math.min(Math.max(momentS, track.start_s), track.end_s);
  find("seek").value = state.momentS;
  find("now").textContent = `${nameOf(track)}, ${clock(state.momentS)}`;
  clearTimeout(state.timer);
  state.timer = setTimeout(showFrame, FRAME_WAIT_MS);
}

function showFrame() {
  const track = state.moment;
  const image = find("frame");
  const problem = find("frame-problem");
  const missing = state.run.no_recording[track.camera_id];
  problem.hidden = !missing;
  problem.textContent = missing ?? "";
  image.hidden = Boolean(missing);
  if (missing) return;
  image.onerror = () => {
    image.hidden = true;
    problem.hidden = false;
    problem.textContent = `There is no picture of ${track.camera_id} at ${clock(state.momentS)}`;
  };
  image.alt = `${track.camera_id} at ${clock(state.momentS)}`;
  image.src = `/api/runs/0/frames/${encodeURIComponent(track.camera_id)}.jpg?t=${state.momentS}&width=${FRAME_WIDTH_PX}&steps=${state.run.steps}`;
}

function stepMoment(frames) {
  const track = state.moment;
  if (!track) return;
  const periodS = track.boxes > 1 ? (track.end_s - track.start_s) / (track.boxes - 1) : 0.04;
  setMoment(state.momentS + frames * periodS);
}

// -- what can be done

function askFor(label, value, people) {
  const dialog = find("ask-dialog");
  find("ask-label").textContent = label;
  find("ask-input").value = value;
  find("ask-people").replaceChildren(...people.map((person) => element("option", { value: String(person.global_id) }, titleOf(person))));
  dialog.returnValue = "";
  dialog.showModal();
  find("ask-input").select();
  return new Promise((done) => {
    dialog.onclose = () => { done(dialog.returnValue === "ok" ? find("ask-input").value.trim() : null); };
  });
}

async function merge() {
  const { chosen } = state;
  const { beside } = chosen;
  const others = state.run.people.filter((person) => person.global_id !== chosen.global_id);
  const proposed = beside && beside.global_id !== chosen.global_id ? String(beside.global_id) : "";
  const answer = await askFor(`Merge ${titleOf(personOf(chosen.global_id))} with the person (id or name)`, proposed, others);
  if (answer === null) return;
  const found = others.filter((person) => String(person.global_id) === answer || (person.name && person.name === answer));
  if (found.length !== 1) {
    alertOf(found.length ? `${found.length} people are named ${answer}: give the id` : `Nobody else has the id or name ${answer || "''"}`);
    return;
  }
  // The earlier id stays.
  const [into, merged] = [chosen.global_id, found[0].global_id].sort((a, b) => a - b);
  await step({ step: "merge", into, merged });
}

async function rename() {
  const person = personOf(state.chosen.global_id);
  const name = await askFor(`Name of ${titleOf(person)}`, person.name, []);
  if (name !== null) await step({ step: "rename", global_id: person.global_id, name });
}

const track = ({ camera_id, track_id }) => ({ camera_id, track_id });
const actions = {
  merge,
  rename,
  split: () => step({ step: "split", ...track(state.chosen), from_s: null }),
  cut: () => step({ step: "split", ...track(state.moment), from_s: state.momentS }),
  delete: () => step({ step: "delete", ...track(state.chosen) }),
  confirm: () => step({ step: "confirm", global_id: state.chosen.global_id, confirmed: !personOf(state.chosen.global_id).confirmed }),
};

function exchange() {
  const { chosen } = state;
  if (!chosen?.beside) return;
  const { beside, reasons, key, ...rest } = chosen;
  show({ ...beside, beside: rest, reasons, key });
}

const keys = {
  j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
  l: () => showTab(state.tab === "links" ? "people" : "links"),
  u: () => step({ step: "undo" }), y: () => step({ step: "redo" }), x: exchange,
  "?": () => find("help-dialog").showModal(),
};
const keysOfTrack = { m: "merge", s: "split", t: "cut", d: "delete", r: "rename", c: "confirm" };

addEventListener("keydown", (event) => {
  if (!state.run || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const arrows = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const act = arrows ? () => stepMoment(arrows * (event.shiftKey ? 10 : 1))
    : keys[event.key] ?? (state.chosen && keysOfTrack[event.key] ? actions[keysOfTrack[event.key]] : null);
  if (!act) return;
  event.preventDefault();
  if (!event.repeat || arrows || "jkArrowDownArrowUp".includes(event.key)) act();
});
for (const button of find("actions").querySelectorAll("button")) button.addEventListener("click", () => { actions[button.dataset.do](); });
find("undo").addEventListener("click", keys.u);
find("redo").addEventListener("click", keys.y);
find("help").addEventListener("click", keys["?"]);
find("tab-links").addEventListener("click", () => showTab("links"));
find("tab-people").addEventListener("click", () => showTab("people"));
find("back").addEventListener("click", () => stepMoment(-1));
find("forward").addEventListener("click", () => stepMoment(1));
find("seek").addEventListener("input", (event) => setMoment(Number(event.target.value)));
// Enter would press the first button, which cancels.
find("ask-input").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  find("ask-dialog").close("ok");
});
read();
