"use strict";
// The scripts of a page share one scope and run in the order of the page.
// Before and after, one over the other: drag, touch, or the arrow keys of a hidden range input.

function setDivider(box, percent) {
  const slider = box.querySelector(".slider");
  slider.value = String(percent);
  slider.setAttribute("aria-valuetext", `${slider.value} % of the picture shows before`);
  box.style.setProperty("--at", `${slider.value}%`);
}

function dividerAt(box, event) {
  const area = box.getBoundingClientRect();
  return Math.min(100, Math.max(0, (100 * (event.clientX - area.left)) / area.width));
}

function makeComparable(box, name) {
  const slider = box.querySelector(".slider");
  slider.setAttribute("aria-label", `Divider between before and after, ${name}`);
  slider.addEventListener("input", () => setDivider(box, slider.value));
  setDivider(box, 50);
  let dragging = false;
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragging = true;
    box.setPointerCapture(event.pointerId);
    setDivider(box, dividerAt(box, event));
  });
  box.addEventListener("pointermove", (event) => {
    if (dragging) setDivider(box, dividerAt(box, event));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    box.addEventListener(end, () => { dragging = false; });
  }
}
