"use strict";
// Find, sort and page through the photos.

const view = { at: 0, shown: page.photos };
const control = Object.fromEntries(
  ["search", "status", "identity", "sort", "many"].map((id) => [id, document.getElementById(id)]),
);
const names = new Intl.Collator("en", { numeric: true });
const ORDERS = {
  name: () => 0, // as they come
  identity: (one, two) => farthest(two) - farthest(one),
  faces: (one, two) => two.faces.length - one.faces.length,
  status: (one, two) => names.compare(one.status, two.status),
};

function hasStatus(photo, wanted) {
  if (!wanted) return true;
  if (wanted === "gone") return photo.notes.length > 0;
  if (wanted === "left") return photo.left.length > 0;
  if (wanted === "ticked") return decisions.has(photo.key);
  return photo.status === wanted;
}

function wantedPhotos() {
  const text = control.search.value.trim().toLowerCase();
  const limit = control.identity.value === "" ? null : Number(control.identity.value);
  return page.photos
    .filter((photo) => hasStatus(photo, control.status.value))
    .filter((photo) => !text || photo.name.toLowerCase().includes(text))
    .filter((photo) => limit === null || farthest(photo) > limit)
    .sort(ORDERS[control.sort.value]);
}

function pageSize() {
  return Number(control.many.value) || Math.max(1, view.shown.length);
}

// Each card takes as many of the grid's short rows as it is high, so that none leaves a hole beside it.
const ROW = 4;
const heights = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    const card = target.parentElement;
    const gap = parseFloat(getComputedStyle(card.parentElement).columnGap) || 0;
    card.style.gridRowEnd = `span ${Math.ceil((target.offsetHeight + gap) / ROW)}`;
  }
});

function showPage(at) {
  const size = pageSize();
  const pages = Math.max(1, Math.ceil(view.shown.length / size));
  view.at = clamped(at, 0, pages - 1);
  const part = view.shown.slice(view.at * size, (view.at + 1) * size);
  heights.disconnect();
  document.getElementById("cards").replaceChildren(...part.map(makeCard));
  for (const article of document.querySelectorAll(".card > article")) heights.observe(article);
  document.getElementById("pager").hidden = pages === 1;
  document.getElementById("where").textContent = `Page ${view.at + 1} of ${pages}`;
  document.getElementById("previous").disabled = view.at === 0;
  document.getElementById("next").disabled = view.at === pages - 1;
}

function refresh() {
  view.shown = wantedPhotos();
  const all = counted(page.photos.length, "photo");
  const found = view.shown.length;
  document.getElementById("found").textContent =
    found === page.photos.length ? all : `${found} of ${all}`;
  showPage(0);
}

function turnPage(by) {
  showPage(view.at + by);
  document.getElementById("toolbar").scrollIntoView({ block: "start" });
}

zoom.step = (by) => {
  const place = view.shown.indexOf(zoom.photo) + by;
  for (let at = place; at >= 0 && at < view.shown.length; at += by) {
    if (view.shown[at].before || view.shown[at].after) return openZoom(view.shown[at]);
  }
  return undefined;
};

for (const id of ["status", "sort", "many"]) control[id].addEventListener("change", refresh);
for (const id of ["search", "identity"]) control[id].addEventListener("input", refresh);
document.getElementById("toolbar").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("previous").addEventListener("click", () => turnPage(-1));
document.getElementById("next").addEventListener("click", () => turnPage(1));
document.getElementById("forget")?.addEventListener("click", () => {
  decisions.clear();
  storeDecisions();
  showPage(view.at);
});
document.getElementById("toolbar").hidden = false;
showDecisions();
refresh();
