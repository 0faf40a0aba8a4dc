"use strict";
// One card for each photo, from the page's templates; names enter as text only.

const STATUS = {
  restored: ["restored", "good"],
  no_face: ["no face found", "plain"],
  failed: ["failed", "bad"],
  reverted: ["original kept", "plain"],
};
const FACES_SHOWN = 2;

function badge(text, tone) {
  const element = document.createElement("span");
  element.className = `badge ${tone}`;
  element.textContent = text;
  return element;
}

function identityBadge(distance, what) {
  if (distance === null || distance === undefined) return badge(`${what} not measured`, "plain");
  const far = distance > page.another_person;
  return badge(`${what} ${distance.toFixed(2)}`, far ? "watch" : "plain");
}

// Earlier versions asked dlib, whose distances are others: they stand alone, with dlib's own limit.
function dlibBadge(distance) {
  return badge(`identity ${distance.toFixed(2)} by dlib`, distance > 0.6 ? "watch" : "plain");
}

function farthest(photo) {
  const known = photo.faces.map((face) => face.identity ?? -1);
  return Math.max(-1, ...known);
}

function photoBadges(photo) {
  const [text, tone] = STATUS[photo.status] ?? [photo.status, "plain"];
  const badges = [badge(text, tone)];
  if (photo.notes.length) badges.push(badge("file gone or changed", "watch"));
  if (photo.scale > 1 && photo.status === "restored") badges.push(badge(`enlarged ${photo.scale} times`, "plain"));
  if (photo.faces.length > 1) {
    badges.push(badge(counted(photo.faces.length, "face"), "plain"));
    if (farthest(photo) >= 0) badges.push(identityBadge(farthest(photo), "identity up to"));
  }
  if (photo.strength !== page.strength && photo.faces.length) {
    badges.push(badge(`strength ${photo.strength}`, "plain"));
  }
  return badges;
}

// The picture of a face opens the zoom at the face, in both panes.
function openAt(item, photo, face, what) {
  const button = item.querySelector(".spot");
  button.setAttribute("aria-label", `Zoom to ${what} of ${photo.name}`);
  button.addEventListener("click", () => openFace(photo, face));
  if (!face.picture) button.remove();
}

function faceItem(photo, face, index, redraw) {
  const item = document.getElementById("face").content.cloneNode(true);
  const image = item.querySelector("img");
  const name = `Face ${index + 1}`;
  image.alt = `${name} of ${photo.name}: input, restored, and what changed`;
  if (face.picture) {
    image.width = face.width;
    image.height = face.height;
    image.src = face.picture;
  } else {
    item.querySelector(".columns").remove();
  }
  openAt(item, photo, face, `face ${index + 1}`);
  const badges = item.querySelector(".badges");
  if (photo.faces.length > 1) badges.append(badge(name, "plain"));
  if (face.reverted) badges.append(badge("original kept", "plain"));
  else if (face.by_dlib !== null) badges.append(dlibBadge(face.by_dlib));
  else badges.append(identityBadge(face.identity, "identity"));
  badges.append(badge(`seen at ${face.crop} px`, "plain"));
  if (face.halftone_dots) badges.append(badge("printed in dots or lines: taken out", "plain"));
  const other = !face.reverted && (face.strength ?? photo.strength) !== photo.strength;
  if (other) badges.append(badge(`strength ${face.strength}`, face.reason ? "watch" : "plain"));
  if (face.page > 1) badges.append(badge(`page ${face.page}`, "plain"));
  const remark = item.querySelector(".reason");
  remark.textContent = face.reason;
  remark.hidden = !face.reason;
  const label = item.querySelector(".tick");
  const tick = label.querySelector("input");
  tick.setAttribute("aria-label", `Keep the original face ${index + 1} of ${photo.name}`);
  tick.checked = decisionOn(photo).faces.includes(index);
  tick.addEventListener("change", () => {
    const others = decisionOn(photo).faces.filter((number) => number !== index);
    decide(photo, { faces: tick.checked ? [...others, index].sort((a, b) => a - b) : others });
    redraw();
  });
  label.hidden = (face.reverted && !page.acts) || photo.status !== "restored" || photo.faces.length < 2;
  const only = item.querySelector(".again"); // of a page that acts
  if (only) fillOnly(only, photo, face, index);
  return item;
}

// Restores one face anew, the others stay as they are.
function fillOnly(label, photo, face, index) {
  const select = label.querySelector("select");
  select.setAttribute("aria-label", `This face only: restore face ${index + 1} of ${photo.name} again`);
  const strongest = (face.reverted ? photo.strength : face.strength) >= 1;
  for (const option of [...select.options]) {
    if (option.value === "stronger" && strongest) option.remove();
  }
  select.addEventListener("change", () => act(photo, select.value, index));
  label.hidden = !["restored", "reverted"].includes(photo.status) || photo.faces.length < 2;
}

// A face that was seen and left alone: where it is, why, and a tick to have it restored.
function leftItem(photo, face, index, redraw) {
  const item = document.getElementById("left").content.cloneNode(true);
  const image = item.querySelector("img");
  image.alt = `Left alone in ${photo.name}: ${face.reason}`;
  if (face.picture) {
    image.width = face.width;
    image.height = face.height;
    image.src = face.picture;
  }
  openAt(item, photo, face, `face ${index + 1} left alone`);
  item.querySelector(".reason").textContent = face.reason;
  if (face.page > 1) item.querySelector(".badges").append(badge(`page ${face.page}`, "plain"));
  const label = item.querySelector(".tick");
  const tick = label.querySelector("input");
  tick.setAttribute("aria-label", `Restore it all the same: ${index + 1} left alone in ${photo.name}`);
  tick.checked = decisionOn(photo).left.includes(index);
  tick.addEventListener("change", () => {
    const others = decisionOn(photo).left.filter((number) => number !== index);
    decide(photo, { left: tick.checked ? [...others, index].sort((a, b) => a - b) : others });
    redraw();
  });
  label.hidden = face.page > 1 || !page.commands.faces; // marks are on the first page
  return item;
}

function fillComparison(card, photo) {
  const box = card.querySelector(".compare");
  const [after, before] = box.querySelectorAll("img");
  if (!photo.before && !photo.after) {
    box.remove();
    card.querySelector(".nothing").hidden = false;
    return;
  }
  for (const [image, source, what] of [[after, photo.after ?? photo.before, "after"], [before, photo.before ?? photo.after, "before"]]) {
    image.width = photo.width;
    image.height = photo.height;
    image.src = source;
    image.alt = `${photo.name}, ${what}`;
  }
  const single = !photo.before || !photo.after || photo.before === photo.after;
  box.classList.toggle("single", single);
  if (single) {
    after.alt = photo.name;
    before.remove();
  } else {
    makeComparable(box, photo.name);
  }
  box.addEventListener("dblclick", (event) => {
    const area = box.getBoundingClientRect();
    const scale = Math.min(area.width / photo.width, area.height / photo.height);
    const share = (at, size) => clamped(0.5 + at / (size * scale), 0, 1);
    const x = share(event.clientX - area.left - area.width / 2, photo.width);
    openZoom(photo, x, share(event.clientY - area.top - area.height / 2, photo.height), 3);
  });
}

function fillChoices(card, photo, redraw) {
  const keep = card.querySelector(".keep");
  const again = card.querySelector(".again select");
  const made = decisionOn(photo);
  keep.checked = made.keep;
  keep.setAttribute("aria-label", `Keep the original of ${photo.name}`);
  keep.addEventListener("change", () => {
    if (keep.checked) again.value = "";
    decide(photo, { keep: keep.checked, again: again.value });
    redraw();
  });
  again.setAttribute("aria-label", `Restore ${photo.name} again`);
  for (const option of [...again.options]) {
    const idle = option.value === "stronger" && photo.strength >= 1;
    if (option.value && (idle || !page.commands[option.value])) option.remove();
  }
  again.value = made.again;
  again.addEventListener("change", () => {
    if (again.value) keep.checked = false;
    decide(photo, { keep: keep.checked, again: again.value });
    redraw();
  });
  const kept = page.acts && photo.status === "reverted"; // to be unticked
  card.querySelector(".choices .tick").hidden = photo.status !== "restored" && !kept;
  const pair = card.querySelector(".pair"); // of a page that acts
  if (pair) {
    pair.href = `pair/${photo.key.split("/").map(encodeURIComponent).join("/")}`;
    pair.setAttribute("aria-label", `Before and after as one picture: ${photo.name}`);
    pair.hidden = photo.status !== "restored";
  }
  card.querySelector(".again").hidden = !photo.faces.length || again.options.length < 2 || kept;
  const choices = card.querySelector(".choices");
  choices.hidden = [...choices.children].every((choice) => choice.hidden);
  const open = card.querySelector(".open");
  open.setAttribute("aria-label", `Zoom into ${photo.name}`);
  open.hidden = !photo.before && !photo.after;
  open.addEventListener("click", () => openZoom(photo));
}

function makeCard(photo) {
  const fragment = document.getElementById("card").content.cloneNode(true);
  const card = fragment.querySelector(".card");
  const redraw = () => card.classList.toggle("kept", decisionOn(photo).keep);
  card.querySelector("h2").textContent = photo.name;
  card.querySelector(".badges").append(...photoBadges(photo));
  const said = photo.status === "failed" || photo.status === "restored" ? photo.reason : "";
  const remarks = [said, ...photo.notes].filter(Boolean);
  const reason = card.querySelector(".reason");
  reason.textContent = remarks.join("; ");
  reason.hidden = remarks.length === 0;
  fillComparison(card, photo);
  const [first, more] = card.querySelectorAll(".faces");
  photo.faces.forEach((face, index) => {
    const list = index < FACES_SHOWN ? first : more;
    list.append(faceItem(photo, face, index, redraw));
  });
  if (!photo.faces.length) first.remove();
  const rest = photo.faces.length - FACES_SHOWN;
  const details = card.querySelector(".more-faces");
  details.hidden = rest <= 0;
  details.querySelector("summary").textContent = `${counted(rest, "more face")}`;
  const left = card.querySelector(".left-faces");
  left.hidden = !photo.left.length;
  left.querySelector("summary").textContent = counted(photo.left.length, "face left alone", "faces left alone");
  left.querySelector("ul").append(...photo.left.map((face, index) => leftItem(photo, face, index, redraw)));
  fillMarks(card, photo);
  fillChoices(card, photo, redraw);
  redraw();
  return card;
}
