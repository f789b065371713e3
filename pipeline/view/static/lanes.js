// The timeline: requests the part that is in view, draws it, and lets it be moved and zoomed.
import { cameraColour, idColour } from "./colours.js";
import { ask, element, inRows, titleOf } from "./common.js";

const PAGE = 50;
const SHORTEST_S = 1;
const ZOOM = 1.6;
const WAIT_MS = 60;
const DRAG_PX = 4;
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
const find = (id) => document.getElementById(id);

export class Lanes {
  // `clock` writes a time, `onVisit` is called with camera and track, `onSeek` with a time.
  constructor({ clock, onVisit, onSeek, onError }) {
    Object.assign(this, { clock, onVisit, onSeek, onError });
    this.run = null;
    this.part = null;
    this.asked = 0;
    this.listen();
  }

  open(number, run) {
    this.number = number;
    this.run = run;
    this.part = null;
    this.first = 0;
    this.hidden = new Set();
    this.chosen = null;
    this.nowS = run.start_s;
    this.longestS = Math.max(run.end_s - run.start_s, SHORTEST_S);
    this.beginS = run.start_s;
    this.endS = run.start_s + this.longestS;
    find("fragments-label").hidden = run.fragments === 0;
    this.showLegend();
    this.changed();
  }

  showLegend() {
    find("legend").replaceChildren(...this.run.cameras.map((name, index) => {
      const box = element("input", { type: "checkbox", "data-camera": name });
      box.checked = true;
      box.addEventListener("change", () => {
        if (box.checked) this.hidden.delete(name);
        else this.hidden.add(name);
        this.onCameras?.();
        this.changed();
      });
      const swatch = element("span", { class: "swatch" });
      swatch.style.background = cameraColour(index);
      return element("li", {}, element("label", {}, box, " ", swatch, name));
    }));
  }

  get cameras() {
    return this.run.cameras.filter((name) => !this.hidden.has(name));
  }

  // Draws what is known at once, and requests the rest.
  changed() {
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), WAIT_MS);
  }

  async load() {
    const order = ++this.asked;
    const query = new URLSearchParams({ from: this.beginS, to: this.endS, first: this.first, count: PAGE });
    if (!find("fragments").checked) query.set("fragments", "0");
    for (const id of find("ids").value.match(/\d+/g) ?? []) query.append("id", id);
    if (this.hidden.size) {
      const names = this.cameras;
      for (const name of names.length ? names : [" "]) query.append("camera", name);
    }
    try {
      const part = await ask(`/api/runs/${this.number}/lanes?${query}`);
      if (order !== this.asked) return;
      this.onError("");
      if (part.total <= this.first && this.first > 0) {
        this.first = 0;
        this.load();
        return;
      }
      this.part = part;
      this.draw();
    } catch (error) {
      if (order === this.asked) this.onError("The timeline could not be read: the program may have ended.");
    }
  }

  // Moves the window; its length stays within the run.
  show(beginS, endS) {
    const lengthS = Math.min(Math.max(endS - beginS, SHORTEST_S), this.longestS);
    const middleS = (beginS + endS) / 2;
    const latestS = this.run.start_s + this.longestS - lengthS;
    this.beginS = Math.min(Math.max(middleS - lengthS / 2, this.run.start_s), latestS);
    this.endS = this.beginS + lengthS;
    this.first = 0;
    this.changed();
  }

  pan(share) {
    const stepS = share * (this.endS - this.beginS);
    this.show(this.beginS + stepS, this.endS + stepS);
  }

  // `share` of the window stays where it is.
  zoom(factor, share = 0.5) {
    const lengthS = this.endS - this.beginS;
    const wantedS = Math.min(Math.max(lengthS / factor, SHORTEST_S), this.longestS);
    const beginS = this.beginS + share * (lengthS - wantedS);
    this.show(beginS, beginS + wantedS);
  }

  clear() {
    this.part = null;
    find("lanes").replaceChildren();
  }

  setNow(nowS) {
    this.nowS = nowS;
    const share = (nowS - this.beginS) / (this.endS - this.beginS);
    const head = find("playhead").firstElementChild;
    head.hidden = share < 0 || share > 1;
    head.style.left = `${100 * share}%`;
  }

  // Keeps the moment that plays in view.
  follow() {
    if (this.nowS > this.endS || this.nowS < this.beginS) {
      const lengthS = this.endS - this.beginS;
      this.show(this.nowS - 0.1 * lengthS, this.nowS + 0.9 * lengthS);
    }
  }

  draw() {
    this.drawAxis();
    this.drawOverview();
    this.setNow(this.nowS);
    const lanes = find("lanes");
    const part = this.part;
    if (!part) {
      lanes.replaceChildren();
      return;
    }
    lanes.replaceChildren(...part.lanes.map((lane) => this.lane(lane)));
    find("nobody").hidden = part.total > 0;
    const last = this.first + part.lanes.length;
    find("more").hidden = last >= part.total;
    find("fewer").hidden = this.first === 0;
    const hidden = part.hidden_fragments ? `; ${part.hidden_fragments} fragments are hidden` : "";
    find("shown").textContent = part.total
      ? `${this.first + 1} to ${last} of ${part.total} in this part, by their first sight${hidden}` : hidden.slice(2);
  }

  lane(lane) {
    const dot = element("i");
    dot.style.background = idColour(lane.global_id);
    const track = element("span", { class: "track" });
    const visits = lane.bars.map(([camera, start_s, end_s, confidence, final, track_id, count]) =>
      ({ camera, start_s, end_s, confidence, final, track_id, count }));
    for (const { visit, row, rows } of inRows(visits)) {
      if (visit.end_s < this.beginS || visit.start_s > this.endS) continue;
      track.append(this.bar(lane, visit, row, rows));
    }
    const name = titleOf(lane);
    return element("li", { class: lane.fragment ? "lane fragment" : "lane", "aria-label": name },
      element("span", { class: "id", title: name }, dot, lane.name || String(lane.global_id)), track);
  }

  bar(lane, visit, row, rows) {
    const camera = this.run.cameras[visit.camera];
    const lengthS = this.endS - this.beginS;
    const left = Math.max(0, (visit.start_s - this.beginS) / lengthS);
    const right = Math.min(1, (visit.end_s - this.beginS) / lengthS);
    const key = `${camera}/${visit.track_id}`;
    const several = visit.count > 1 ? `, ${visit.count} stays` : "";
    const title = `${camera}, ${this.clock(visit.start_s)} to ${this.clock(visit.end_s)}${several}`;
    const bar = element("button", {
      type: "button", class: visit.final ? "visit" : "visit provisional", "data-key": key, title,
      "aria-label": `${lane.name || lane.global_id}: ${title}`, "aria-pressed": String(this.chosen === key),
    });
    bar.style.left = `${100 * left}%`;
    bar.style.width = `${100 * Math.max(right - left, 0)}%`;
    bar.style.top = `${(100 * row) / rows}%`;
    bar.style.height = `${100 / rows}%`;
    bar.style.background = cameraColour(visit.camera);
    if (rows === 1 && (right - left) * this.width() > 8 * camera.length + 8) bar.textContent = camera;
    bar.addEventListener("click", () => { if (!this.dragged) this.onVisit(camera, visit.track_id); });
    return bar;
  }

  choose(key) {
    this.chosen = key;
    for (const bar of find("lanes").querySelectorAll(".visit")) {
      bar.setAttribute("aria-pressed", String(bar.dataset.key === key));
    }
  }

  width() {
    return find("axis").clientWidth;
  }

  drawAxis() {
    const lengthS = this.endS - this.beginS;
    const most = Math.max(2, Math.floor(this.width() / (this.longestS > 86400 ? 140 : 90)));
    const stepS = STEPS_S.find((step) => lengthS / step <= most) ?? Math.ceil(lengthS / most);
    const ticks = [];
    for (let number = Math.ceil(this.beginS / stepS); number * stepS <= this.endS; number += 1) {
      const share = (number * stepS - this.beginS) / lengthS;
      if (share > 0.96) break;
      const tick = element("span", {}, this.clock(number * stepS, stepS));
      tick.style.left = `${100 * share}%`;
      ticks.push(tick);
    }
    find("axis").replaceChildren(...ticks);
  }

  drawOverview() {
    const canvas = find("overview");
    canvas.width = canvas.clientWidth;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const { density } = this.run;
    const highest = Math.max(1, ...density);
    const width = canvas.width / density.length;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = style.getPropertyValue("--quiet");
    density.forEach((count, place) => {
      const height = (count / highest) * (canvas.height - 4);
      context.fillRect(place * width, canvas.height - height, Math.max(width, 1), height);
    });
    const x = (timeS) => ((timeS - this.run.start_s) / this.longestS) * canvas.width;
    context.strokeStyle = context.fillStyle = style.getPropertyValue("--accent");
    context.lineWidth = 2;
    const left = x(this.beginS);
    const shown = Math.max(x(this.endS) - left, 3);
    context.globalAlpha = 0.18;
    context.fillRect(left, 0, shown, canvas.height);
    context.globalAlpha = 1;
    context.strokeRect(left + 1, 1, Math.max(shown - 2, 1), canvas.height - 2);
  }

  // -- mouse, touch and keys

  listen() {
    find("zoom-in").addEventListener("click", () => this.zoom(ZOOM));
    find("zoom-out").addEventListener("click", () => this.zoom(1 / ZOOM));
    find("zoom-all").addEventListener("click", () => this.show(this.run.start_s, this.run.end_s));
    find("fragments").addEventListener("change", () => this.changed());
    find("ids").addEventListener("input", () => this.changed());
    find("more").addEventListener("click", () => { this.first += PAGE; this.changed(); });
    find("fewer").addEventListener("click", () => { this.first = Math.max(this.first - PAGE, 0); this.changed(); });
    // Also when the details beside it take some of its width.
    new ResizeObserver(() => { if (this.run) this.draw(); }).observe(find("axis"));
    const plot = find("plot");
    plot.addEventListener("keydown", (event) => {
      const keys = {
        ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2), "+": () => this.zoom(ZOOM),
        "=": () => this.zoom(ZOOM), "-": () => this.zoom(1 / ZOOM), 0: () => this.show(this.run.start_s, this.run.end_s),
      };
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    plot.addEventListener("wheel", (event) => {
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.share(event));
      else if (sideways) this.pan(sideways / 800);
      else return;  // the page scrolls
      event.preventDefault();
    }, { passive: false });
    for (const id of ["axis", "overview"]) {
      find(id).addEventListener("wheel", (event) => {
        event.preventDefault();
        this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.share(event));
      }, { passive: false });
    }
    find("axis").addEventListener("click", (event) => this.onSeek(this.beginS + this.share(event) * (this.endS - this.beginS)));
    this.listenToDrags(plot);
    const overview = find("overview");
    const jump = (event) => {
      if (!(event.buttons & 1)) return;
      const box = overview.getBoundingClientRect();
      const middleS = this.run.start_s + ((event.clientX - box.left) / box.width) * this.longestS;
      const lengthS = this.endS - this.beginS;
      this.show(middleS - lengthS / 2, middleS + lengthS / 2);
    };
    overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); jump(event); });
    overview.addEventListener("pointermove", jump);
  }

  share(event) {
    const box = find("axis").getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  }

  listenToDrags(plot) {
    const pointers = new Map();
    let before = null;
    const measure = () => {
      const places = [...pointers.values()];
      const middle = places.reduce((sum, x) => sum + x, 0) / places.length;
      return { middle, spread: places.length > 1 ? Math.abs(places[0] - places[1]) : null };
    };
    plot.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, event.clientX);
      before = measure();
      this.beganX = event.clientX;
      if (pointers.size === 1) this.dragged = false;
    });
    addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return;
      pointers.set(event.pointerId, event.clientX);
      if (!this.dragged && pointers.size === 1 && Math.abs(event.clientX - this.beganX) < DRAG_PX) return;
      this.dragged = true;
      const after = measure();
      const width = this.width();
      const stepS = ((before.middle - after.middle) / width) * (this.endS - this.beginS);
      this.show(this.beginS + stepS, this.endS + stepS);
      if (before.spread && after.spread) this.zoom(after.spread / before.spread, this.share({ clientX: after.middle }));
      before = after;
    });
    const end = (event) => {
      pointers.delete(event.pointerId);
      before = pointers.size ? measure() : null;
      // The click that ends a drag comes next.
      if (!pointers.size) setTimeout(() => { this.dragged = false; });
    };
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }
}
