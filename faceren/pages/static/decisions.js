"use strict";
// What the reader decides: kept in this browser, exported as lists that `faceren restore` reads.
// A decision counts for the restored file it was made about; a new one needs a new decision.
// Parts of a page keep theirs in one place, so that photos may move from part to part.

const page = JSON.parse(document.getElementById("data").textContent);
const STORE = `faceren:${page.run}`;
const elsewhere = new Map(); // decisions on photos of other parts of the page
const decisions = loadDecisions();

function loadDecisions() {
  const marks = new Map(page.photos.map((photo) => [photo.key, photo.mark]));
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch { /* no storage, or not ours: nothing is decided yet */ }
  for (const [key, made] of Object.entries(stored)) {
    if (page.parts > 1 && !marks.has(key)) elsewhere.set(key, made);
  }
  return new Map(Object.entries(stored).filter(([key, made]) => marks.get(key) === made.mark));
}

function decisionOn(photo) {
  const none = { mark: photo.mark, keep: false, faces: [], left: [], again: "", marks: null, fill: false };
  return { ...none, ...decisions.get(photo.key) };
}

function decide(photo, change) {
  const made = { ...decisionOn(photo), ...change };
  if (made.keep || made.faces.length || made.left.length || made.again || made.marks || made.fill) decisions.set(photo.key, made);
  else decisions.delete(photo.key);
  storeDecisions();
}

function storeDecisions() {
  try {
    localStorage.setItem(STORE, JSON.stringify(Object.fromEntries([...elsewhere, ...decisions])));
  } catch { /* no storage: ticks last as long as the page */ }
  showDecisions();
}

function counted(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

function showDecisions() {
  const all = [...decisions.values()];
  const photos = all.filter((made) => made.keep).length;
  const faces = all.reduce((sum, made) => sum + (made.keep ? 0 : made.faces.length), 0);
  const again = all.filter((made) => made.again).length;
  const left = all.reduce((sum, made) => sum + (made.left?.length ?? 0), 0);
  const parts = [];
  if (photos) parts.push(`${counted(photos, "photo")} to keep as ${photos === 1 ? "it was" : "they were"}`);
  if (faces) parts.push(`${counted(faces, "face")} to keep as ${faces === 1 ? "it was" : "they were"}`);
  if (again) parts.push(`${counted(again, "photo")} to restore again`);
  if (left) parts.push(`${counted(left, "face")} to restore all the same`);
  const filled = all.filter((made) => made.marks || made.fill).length;
  if (filled) parts.push(`${counted(filled, "photo")} whose marks to fill as ticked`);
  if (elsewhere.size) parts.push(`${counted(elsewhere.size, "photo")} decided on in other parts`);
  document.getElementById("decided").textContent = parts.join(", ");
  document.getElementById("decisions").hidden = all.length === 0;
}

// A line is a photo's name, then, for one face of it, a tab and the face's number from 1. A name
// that would break the line, or looks quoted, is written as a JSON string.
function listLine(key, face) {
  const odd = /^["\s]|\s$|\p{Cc}|\p{Cs}|\u2028|\u2029/u.test(key);
  return (odd ? JSON.stringify(key) : key) + (face === undefined ? "" : `\t${face + 1}`);
}

function exportedLists() {
  const lists = { keep: [], weaker: [], stronger: [], faces: [], marks: [] };
  const photos = new Map(page.photos.map((photo) => [photo.key, photo]));
  for (const [key, made] of decisions) {
    if (made.keep) lists.keep.push(listLine(key));
    else lists.keep.push(...made.faces.map((face) => listLine(key, face)));
    if (made.again) lists[made.again].push(listLine(key));
    const places = (made.left ?? []).map((index) => photos.get(key).left[index]).filter(Boolean);
    if (made.marks || made.fill) lists.marks.push(...markLines(photos.get(key)));
    lists.faces.push(...places.map(({ box }) => JSON.stringify({ photo: key, box })));
  }
  return Object.entries(lists).filter(([, lines]) => lines.length);
}

// A line for each mark that is to stay; one without a box if there is none.
function markLines(photo) {
  const stay = new Set(untickedMarks(photo));
  const parts = photo.marks.parts.filter((part) => stay.has(part.index));
  if (!parts.length) return [JSON.stringify({ photo: photo.key })];
  return parts.map(({ box, page: number }) => JSON.stringify({ photo: photo.key, box, page: number - 1 }));
}

const LISTS = {
  keep: ["Keep the original", "keep-original.txt"],
  weaker: ["Restore again, weaker", "weaker.txt"],
  stronger: ["Restore again, stronger", "stronger.txt"],
  faces: ["Restore these faces, too", "faces.jsonl"],
  marks: ["Marks to leave as they are", "marks.jsonl"],
};

function saveFile(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function say(text) {
  document.getElementById("copied").textContent = text;
}

// Browsers may keep the clipboard from a page that was opened from disk: what was meant is selected
// then, for Ctrl-C.
async function copy(text, element, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} is copied.`);
  } catch {
    if (element.select) element.select();
    else getSelection().selectAllChildren(element);
    element.focus?.();
    say(`${what} is selected: copy it with Ctrl-C.`);
  }
}

function showLists() {
  const body = document.getElementById("lists-body");
  const sections = exportedLists().map(([name, lines]) => {
    const section = document.getElementById("list").content.cloneNode(true);
    const [title, file] = LISTS[name];
    const text = `${lines.join("\n")}\n`;
    section.querySelector("h3").textContent = `${title} (${lines.length})`;
    section.querySelector("textarea").value = text;
    const command = page.commands[name] ?? "";
    section.querySelector(".save").textContent = `Save ${file}`;
    section.querySelector(".save").addEventListener("click", () => {
      saveFile(file, text);
      say(`${file} is where your browser saves files, Downloads as a rule.`);
    });
    const area = section.querySelector("textarea");
    section.querySelector(".copy").addEventListener("click", () => copy(text, area, `The list of ${file}`));
    const code = section.querySelector("code");
    code.textContent = command;
    section.querySelector(".copy-command").addEventListener("click", () => copy(command, code, "The command"));
    return section;
  });
  body.replaceChildren(...sections);
  say("");
  document.getElementById("lists").showModal();
}

document.getElementById("export").addEventListener("click", showLists);
