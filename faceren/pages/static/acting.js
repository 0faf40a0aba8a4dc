"use strict";
// The page of `faceren open`: what is ticked is done at once, by the server that the page came from.
// It takes the place of decisions.js and tells the other scripts what they ask of that.

const page = JSON.parse(document.getElementById("data").textContent);
page.acts = true;
const decisions = new Map(); // nothing waits to be exported
const work = Object.fromEntries(
  ["work", "work-text", "work-problem", "work-bar", "undo"].map((id) => [id, document.getElementById(id)]),
);
const known = { finished: 0, asking: false, more: false };

function counted(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

function decisionOn(photo) {
  const faces = photo.faces.flatMap((face, index) => (face.reverted ? [index] : []));
  return { mark: photo.mark, keep: photo.status === "reverted", faces, left: [], again: "", marks: null, fill: false };
}

function decide(photo, change, mark) {
  if (change.faces) decideFace(photo, change.faces);
  else if (change.left?.length) act(photo, "left", change.left.at(-1));
  else if (mark !== undefined) act(photo, "mark", mark);
  else if (change.again) act(photo, change.again);
  else if (change.keep) act(photo, "keep");
  else if (change.keep === false) act(photo, "again");
}

// Of the faces whose original is kept, one is new, or one is gone.
function decideFace(photo, faces) {
  const now = decisionOn(photo).faces;
  const kept = faces.find((index) => !now.includes(index));
  if (kept === undefined) act(photo, "again", now.find((index) => !faces.includes(index)));
  else act(photo, "keep", kept);
}

function act(photo, name, face) {
  return ask("act", JSON.stringify({ act: name, key: photo.key, ...(face === undefined ? {} : { face }) }));
}

function showDecisions() {}

function storeDecisions() {}

function problem(text) {
  work["work-problem"].textContent = text;
  work["work-problem"].hidden = !text;
  if (text) work.work.hidden = false;
}

// Ask the server for something to be done, then watch how it goes on.
async function ask(what, body, kind = "application/json") {
  problem("");
  try {
    const answer = await fetch(what, { method: "POST", body, headers: { "Content-Type": kind } });
    const told = await answer.json();
    if (told.error) problem(told.error);
    else showState(told);
  } catch {
    problem("faceren does not answer: it was ended, or its folder is gone. Start faceren open again.");
  }
  watch();
}

function showState(state) {
  work["work-text"].textContent = state.text;
  work["work-bar"].hidden = !state.busy;
  work.work.hidden = !state.text && !state.undoable && work["work-problem"].hidden;
  if (state.total > 1) {
    work["work-bar"].max = state.total;
    work["work-bar"].value = state.done;
  } else {
    work["work-bar"].removeAttribute("value");
  }
  if (state.problem) problem(state.problem);
  work.undo.disabled = !state.undoable || state.busy;
}

// What is asked for while the photos are fetched is seen in a later state only: look once more then.
async function watch() {
  known.more = true;
  if (known.asking) return;
  known.asking = true;
  try {
    for (;;) {
      known.more = false;
      const state = await (await fetch("state")).json();
      if (state.finished !== known.finished) {
        known.finished = state.finished;
        await showPhotos();
      }
      showState(state); // last: what is said to be done can be seen
      if (!state.busy && !known.more) break;
      await new Promise((resolve) => setTimeout(resolve, state.busy ? 300 : 0));
    }
  } catch {
    problem("faceren does not answer: it was ended, or its folder is gone. Start faceren open again.");
  }
  known.asking = false;
}

// What has the focus is found again by its words: the cards are new.
async function showPhotos() {
  const told = await (await fetch("photos")).json();
  if (!told.photos) return problem(told.error ?? "");
  const words = document.activeElement?.getAttribute("aria-label");
  const at = view.at;
  page.photos = told.photos;
  page.strength = told.strength;
  refresh();
  showPage(at);
  if (words) document.querySelector(`[aria-label="${CSS.escape(words)}"]`)?.focus({ preventScroll: true });
  return undefined;
}

work.undo.addEventListener("click", () => ask("undo", "{}"));
