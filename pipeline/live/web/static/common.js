// What the page of a live run and that of finished runs share.
const TIMEOUT_MS = 5000;

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
  if (response.status === 401) location.assign("/login");
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
// "Ana (3)" for somebody whom a review has named, else "Person 3".
export function titleOf(person) {
  if (person.name) return `${person.name} (${person.global_id})`;
  return `${person.fragment ? "Fragment" : capital(person.class_name)} ${person.global_id}`;
}
// Visits that overlap in time are drawn below each other; the others have the whole height.
export function inRows(visits) {
  const placed = [];
  let group = [];
  let groupEndS = -Infinity;
  const rowEndS = [];
  const finish = () => {
    const rows = Math.max(1, rowEndS.length);
    placed.push(...group.map((one) => ({ ...one, rows })));
    group = [];
    rowEndS.length = 0;
  };
  for (const visit of [...visits].sort((a, b) => a.start_s - b.start_s)) {
    if (visit.start_s >= groupEndS) finish();
    let row = rowEndS.findIndex((endS) => endS <= visit.start_s);
    if (row < 0) row = rowEndS.length;
    rowEndS[row] = visit.end_s;
    groupEndS = Math.max(groupEndS, visit.end_s);
    group.push({ visit, row });
  }
  finish();
  return placed;
}
