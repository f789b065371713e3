// The box for searching: sends a picture to the run, waits for the result, and shows the people who look like it.
import { idColour } from "./colours.js";

const WAIT_MS = 500;
const LONGEST_MS = 120000;
const MEANINGS = { "same person": "good", perhaps: "wait", no: "" };
const find = (id) => document.getElementById(id);
let newest = 0;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Called with every status of the run.
export function showSearch({ search, cameras }) {
  find("search").hidden = !search;
  const select = find("search-camera");
  const names = cameras.map((camera) => camera.name);
  if ([...select.options].slice(1).map((option) => option.value).join("\n") === names.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...names.map((name) => element("option", { value: name }, name)));
  select.value = names.includes(chosen) ? chosen : "";
}

async function answered(response) {
  if (response.status === 401) location.assign("/login");
  const content = await response.json();
  if (!response.ok) throw new Error(content.error ?? response.status);
  return content;
}

async function search(person) {
  const file = find("search-file").files[0];
  if (!file) return;
  const own = ++newest;
  show("searching; the first search loads the models");
  try {
    const wanted = new URLSearchParams({ camera: find("search-camera").value });
    if (person) wanted.set("person", person);
    const { job } = await answered(await fetch(`/api/find?${wanted}`, {
      method: "POST", body: file, headers: { "content-type": "application/octet-stream" },
    }));
    const until = Date.now() + LONGEST_MS;
    while (own === newest) {
      const result = await answered(await fetch(`/api/find/${job}`, { cache: "no-store" }));
      if (own !== newest) return;
      if (result.done) return showResult(result);
      if (Date.now() > until) throw new Error("no result; try again");
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
  } catch (error) {
    if (own === newest) show(`not searched: ${error.message}`);
  }
}

function show(status, matches = [], notes = "", choices = []) {
  find("search-status").textContent = status;
  find("search-matches").replaceChildren(...matches);
  find("search-notes").textContent = notes;
  const choose = find("search-choose");
  choose.hidden = !choices.length;
  choose.replaceChildren(...choices);
}

function showResult(result) {
  if (result.error) return show(`not searched: ${result.error}`);
  if (result.choose) {
    const buttons = result.choose.map(([left], index) => {
      const place = Math.round((100 * left) / result.size[0]);
      const button = element("button", { type: "button", title: `begins at ${place} % of the width` }, String(index + 1));
      button.addEventListener("click", () => search(index + 1));
      return button;
    });
    return show(`the picture shows ${buttons.length} people; choose one, counted from the left`, [], "", buttons);
  }
  const sentences = [...result.notes, result.meaning];
  const notes = sentences.map((text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`).join(" ");
  show(`${result.people} known people were compared`, result.matches.map(match), notes);
}

function match({ global_id, camera_id, end_s, meaning, distance }) {
  const dot = element("i");
  dot.style.background = idColour(global_id);
  const link = element("a", { href: `#id=${global_id}` }, dot, `Person ${global_id}`);
  const seen = new Date(end_s * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "medium", hour12: false });
  return element(
    "li", {}, link, element("span", { class: `badge ${MEANINGS[meaning]}` }, meaning),
    element("span", { class: "hint" }, `${camera_id}, last seen ${seen}, distance ${distance.toFixed(2)}`),
  );
}

function preview() {
  const picture = find("search-picture");
  const file = find("search-file").files[0];
  picture.hidden = true;
  if (!file) return;
  const reader = new FileReader();
  reader.addEventListener("load", () => { picture.src = reader.result; picture.hidden = false; });
  reader.readAsDataURL(file);
}

find("search-file").addEventListener("change", preview);
find("search-picture").addEventListener("error", () => { find("search-picture").hidden = true; });
find("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  search(null);
});
