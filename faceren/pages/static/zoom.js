"use strict";
// Both pictures at the same spot. The view is a multiple of the whole photo's size (1: it fits)
// and the spot, as shares of width and height, that is in the middle of each pane.

const zoom = {
  dialog: document.getElementById("zoom"),
  panes: document.getElementById("panes"),
  note: document.getElementById("zoom-note"),
  before: document.getElementById("zoom-before"),
  after: document.getElementById("zoom-after"),
  times: 1,
  x: 0.5,
  y: 0.5,
  photo: null,
  step: () => {},
};
const MOST = 40;
const AROUND = 1.8; // what is shown of a face's surroundings, in its own widths
const fingers = new Map();

function clamped(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function fitted() {
  const pane = zoom.before.parentElement.getBoundingClientRect();
  const shape = zoom.photo.width / zoom.photo.height;
  const width = Math.max(1, Math.min(pane.width, pane.height * shape));
  return { pane, width, height: width / shape };
}

function look(times, x, y) {
  zoom.times = clamped(times, 1, MOST);
  zoom.x = zoom.times === 1 ? 0.5 : clamped(x, 0, 1);
  zoom.y = zoom.times === 1 ? 0.5 : clamped(y, 0, 1);
  const { pane, width, height } = fitted();
  for (const image of [zoom.before, zoom.after]) {
    image.style.width = `${width * zoom.times}px`;
    image.style.height = `${height * zoom.times}px`;
    image.style.left = `${pane.width / 2 - zoom.x * width * zoom.times}px`;
    image.style.top = `${pane.height / 2 - zoom.y * height * zoom.times}px`;
  }
  const real = zoom.after.naturalWidth;
  const level = real ? `${Math.round((100 * width * zoom.times) / real)} %` : "";
  document.getElementById("zoom-level").textContent = level;
}

// Zoom so that what is under a point of the screen stays there.
function lookCloser(factor, event) {
  const { pane, width, height } = fitted();
  const area = event.target.closest(".pane")?.getBoundingClientRect() ?? pane;
  const dx = event.clientX - area.left - area.width / 2;
  const dy = event.clientY - area.top - area.height / 2;
  const times = clamped(zoom.times * factor, 1, MOST);
  const kept = 1 / zoom.times - 1 / times;
  look(times, zoom.x + (dx / width) * kept, zoom.y + (dy / height) * kept);
}

function show(image, full, small, what) {
  image.onload = () => look(zoom.times, zoom.x, zoom.y);
  image.onerror = () => {
    image.onerror = null;
    zoom.note.textContent += ` The file of the ${what} cannot be shown from here; this is its small picture.`;
    if (small) image.src = small;
  };
  if (full) {
    image.src = full;
  } else {
    zoom.note.textContent += ` This is a small picture of the ${what}: browsers cannot show its file, or it is gone.`;
    image.src = small ?? "";
  }
}

function openZoom(photo, x = 0.5, y = 0.5, times = 1) {
  zoom.photo = photo;
  zoom.note.textContent = "";
  document.getElementById("zoom-name").textContent = photo.name;
  if (!zoom.dialog.open) zoom.dialog.showModal();
  show(zoom.before, photo.original, photo.before ?? photo.after, "original");
  show(zoom.after, photo.result, photo.after ?? photo.before, "restored photo");
  look(times, x, y);
  zoom.panes.focus();
}

// Show a face as large as the panes hold it with something around it. Where the size of the photo is not recorded, that
// of the original tells where the face is, once it is there.
function openFace(photo, face) {
  openZoom(photo);
  const goThere = () => {
    const [width, height] = photo.size ?? [zoom.before.naturalWidth, zoom.before.naturalHeight];
    const [left, top, right, bottom] = face.box;
    if (zoom.photo !== photo || !width) return;
    const fit = fitted();
    const across = fit.pane.width / (fit.width * (right - left) / width);
    const down = fit.pane.height / (fit.height * (bottom - top) / height);
    look(Math.min(across, down) / AROUND, (left + right) / 2 / width, (top + bottom) / 2 / height);
  };
  if (!face.box || face.page > 1) return; // the first page is what is shown
  if (photo.size || zoom.before.complete) goThere();
  else zoom.before.addEventListener("load", goThere, { once: true });
}

const zoomActions = {
  in: () => look(zoom.times * 1.5, zoom.x, zoom.y),
  out: () => look(zoom.times / 1.5, zoom.x, zoom.y),
  fit: () => look(1, 0.5, 0.5),
  real: () => look(zoom.after.naturalWidth / fitted().width / devicePixelRatio, zoom.x, zoom.y),
  close: () => zoom.dialog.close(),
  left: () => look(zoom.times, zoom.x - 0.12 / zoom.times, zoom.y),
  right: () => look(zoom.times, zoom.x + 0.12 / zoom.times, zoom.y),
  up: () => look(zoom.times, zoom.x, zoom.y - 0.12 / zoom.times),
  down: () => look(zoom.times, zoom.x, zoom.y + 0.12 / zoom.times),
  previous: () => zoom.step(-1),
  next: () => zoom.step(1),
};
const zoomKeys = {
  "+": "in", "=": "in", "-": "out", 0: "fit", 1: "real", ArrowLeft: "left", ArrowRight: "right",
  ArrowUp: "up", ArrowDown: "down", PageUp: "previous", PageDown: "next",
};

zoom.dialog.addEventListener("click", (event) => zoomActions[event.target.dataset.do]?.());
zoom.dialog.addEventListener("keydown", (event) => {
  const action = zoomKeys[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  zoomActions[action]();
});
zoom.panes.addEventListener("wheel", (event) => {
  event.preventDefault();
  lookCloser(Math.exp(-event.deltaY / 400), event);
}, { passive: false });
zoom.panes.addEventListener("dblclick", (event) => lookCloser(2, event));

// One finger or the mouse moves the pictures, two fingers zoom.
zoom.panes.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, event);
  zoom.panes.setPointerCapture(event.pointerId);
});
zoom.panes.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const others = [...fingers.values()].filter((finger) => finger.pointerId !== event.pointerId);
  fingers.set(event.pointerId, event);
  if (others.length) {
    const apart = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
    look(zoom.times * (apart(event) / Math.max(1, apart(before))), zoom.x, zoom.y);
    return;
  }
  const { width, height } = fitted();
  look(
    zoom.times,
    zoom.x - (event.clientX - before.clientX) / (width * zoom.times),
    zoom.y - (event.clientY - before.clientY) / (height * zoom.times),
  );
});
for (const end of ["pointerup", "pointercancel"]) {
  zoom.panes.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
addEventListener("resize", () => {
  if (zoom.dialog.open) look(zoom.times, zoom.x, zoom.y);
});
