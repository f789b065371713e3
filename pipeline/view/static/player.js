// Plays the recordings of several cameras in sync: requests their pictures of one moment, and draws them together.
import { element } from "./common.js";

const TIMEOUT_MS = 10000;
const LONGEST_STEP_S = 0.5;
const EARLIER_S = 0.005;
const find = (id) => document.getElementById(id);

export class Player {
  // `clock` writes a time; `onTime` is called with each new time.
  constructor({ clock, onTime }) {
    Object.assign(this, { clock, onTime });
    this.playing = false;
    this.busy = false;
    find("play").addEventListener("click", () => this.toggle());
    find("back").addEventListener("click", () => this.step(-1));
    find("forward").addEventListener("click", () => this.step(1));
    find("seek").addEventListener("input", (event) => this.seek(Number(event.target.value)));
    find("boxes").addEventListener("change", () => this.refresh());
    addEventListener("keydown", (event) => {
      if (!this.run || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input, select, button, summary, a")) return;
      const keys = { " ": () => this.toggle(), ",": () => this.step(-1), ".": () => this.step(1) };
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  open(number, run, cameras) {
    this.close();
    this.number = number;
    this.run = run;
    this.screens = new Map(run.cameras.map((name) => [name, this.screen(name, run.no_recording[name])]));
    find("screens").replaceChildren(...[...this.screens.values()].map((one) => one.item));
    const seek = find("seek");
    seek.min = run.start_s;
    seek.max = run.end_s;
    seek.step = 0.01;
    this.setTime(run.start_s);
    this.show(cameras);
  }

  close() {
    this.pause();
    this.run = null;
    this.screens = new Map();
  }

  screen(name, missing) {
    const canvas = element("canvas", { width: 640, height: 360, role: "img", "aria-label": `Camera ${name}` });
    const problem = element("p", { class: "problem" }, missing ?? "");
    canvas.hidden = Boolean(missing);
    const item = element("li", { class: "screen", "data-camera": name }, element("h3", {}, name), canvas, problem);
    return { name, item, canvas, problem, missing, frame: null };
  }

  // Shows these cameras only.
  show(cameras) {
    for (const screen of this.screens.values()) screen.item.hidden = !cameras.includes(screen.name);
    this.refresh();
  }

  shown() {
    return [...this.screens.values()].filter((one) => !one.item.hidden && !one.missing);
  }

  seek(timeS) {
    this.setTime(Math.min(Math.max(timeS, this.run.start_s), this.run.end_s));
    this.refresh();
  }

  setTime(timeS) {
    this.timeS = timeS;
    find("now").textContent = this.clock(timeS, 0.1);
    find("seek").value = timeS;
    this.onTime(timeS);
  }

  refresh() {
    for (const screen of this.screens.values()) screen.frame = null;
    this.load();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (!this.run || this.playing) return;
    if (this.timeS >= this.run.end_s - 0.05) this.seek(this.run.start_s);
    this.playing = true;
    this.drawnMs = performance.now();
    find("play").textContent = "Pause";
    requestAnimationFrame(() => this.tick());
  }

  pause() {
    this.playing = false;
    find("play").textContent = "Play";
  }

  // Steps by a frame of the first camera with a picture.
  step(direction) {
    this.pause();
    const frame = this.shown().map((one) => one.frame).find((one) => one && !one.problem);
    if (!frame) return;
    const after = frame.nextS ?? frame.timeS + frame.periodS;
    this.snap = true;
    this.seek(direction > 0 ? after : frame.timeS - EARLIER_S);
  }

  tick() {
    if (!this.playing) return;
    const nowMs = performance.now();
    if (!this.busy) {
      // Slow pictures slow the time down: no part is skipped while a recording is entered anew.
      const passedS = Math.min((nowMs - this.drawnMs) / 1000, LONGEST_STEP_S);
      this.drawnMs = nowMs;
      this.setTime(Math.min(this.timeS + passedS * Number(find("speed").value), this.run.end_s));
      if (this.timeS >= this.run.end_s) this.pause();
      this.load();
    }
    requestAnimationFrame(() => this.tick());
  }

  // Requests the pictures that differ from those shown, and draws them together.
  async load() {
    if (!this.run) return;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    const run = this.run;
    do {
      this.again = false;
      const timeS = this.timeS;
      const due = this.shown().filter(({ frame }) =>
        !frame || timeS < frame.timeS - EARLIER_S || frame.problem || timeS >= (frame.nextS ?? Infinity) - 0.001);
      const loaded = await Promise.all(due.map((screen) => this.picture(screen, timeS)));
      if (this.run !== run) break;
      due.forEach((screen, place) => this.draw(screen, loaded[place]));
      const first = this.shown().map((one) => one.frame).find((one) => one && !one.problem);
      if (this.snap && !this.again && first) this.setTime(first.timeS);
      if (!this.again) this.snap = false;
    } while (this.again);
    this.busy = false;
    if (this.run && this.run !== run) this.load();
  }

  async picture(screen, timeS) {
    const width = Math.min(1920, Math.round((screen.canvas.clientWidth || 640) * Math.min(devicePixelRatio, 2)));
    const query = new URLSearchParams({ t: timeS, width, boxes: find("boxes").checked ? 1 : 0 });
    const path = `/api/runs/${this.number}/frames/${encodeURIComponent(screen.name)}.jpg?${query}`;
    try {
      const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
      if (response.status === 401) location.assign("/login");
      if (!response.ok) return { problem: (await response.json()).error };
      const header = (name) => (response.headers.has(name) ? Number(response.headers.get(name)) : null);
      return {
        bitmap: await createImageBitmap(await response.blob()),
        timeS: header("x-frame-time"), nextS: header("x-next-time"), periodS: header("x-frame-period"),
      };
    } catch (error) {
      return { problem: "no answer: the recording is slow to read at this place, or the program has ended" };
    }
  }

  draw(screen, loaded) {
    screen.frame = loaded;
    screen.problem.textContent = loaded.problem ?? "";
    screen.canvas.classList.toggle("old", Boolean(loaded.problem));
    if (!loaded.bitmap) return;
    const { canvas } = screen;
    if (canvas.width !== loaded.bitmap.width || canvas.height !== loaded.bitmap.height) {
      canvas.width = loaded.bitmap.width;
      canvas.height = loaded.bitmap.height;
    }
    canvas.getContext("2d").drawImage(loaded.bitmap, 0, 0);
    canvas.dataset.time = loaded.timeS;
    loaded.bitmap.close();
  }
}
