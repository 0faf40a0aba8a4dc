"use strict";
// The marks on a print: their mask over the photo, a box around each, and a tick for each. What is
// unticked stays as it is.

// Numbers of the marks that are unticked: as decided, or else as recorded.
function untickedMarks(photo) {
  const recorded = photo.marks.parts.filter((part) => part.kept).map((part) => part.index);
  return decisionOn(photo).marks ?? recorded;
}

function tickMark(photo, index, ticked) {
  const others = untickedMarks(photo).filter((number) => number !== index);
  const marks = ticked ? others : [...others, index].sort((one, two) => one - two);
  const recorded = photo.marks.parts.filter((part) => part.kept).map((part) => part.index);
  const same = marks.length === recorded.length && recorded.every((number) => marks.includes(number));
  decide(photo, { marks: same ? null : marks }, index);
}

function percent(share) {
  return `${(100 * share).toFixed(share < 0.001 ? 3 : 2)} %`;
}

function marksSummary(marks) {
  if (!marks.count) return marks.note ? "Marks on the print: not looked for" : "No mark found on the print";
  const found = `${counted(marks.count, "mark")} on the print`;
  return `${found}, ${marks.filled ? "filled" : "nothing filled yet"} (${percent(marks.share)} of the photo)`;
}

// A box over the picture; a click on it is one on its tick.
function markBox(photo, part, tick) {
  const [x0, y0, x1, y1] = part.box;
  const [width, height] = photo.size;
  const box = document.createElement("span");
  box.className = "mark-box";
  box.style.left = `${(100 * x0) / width}%`;
  box.style.top = `${(100 * y0) / height}%`;
  box.style.width = `${(100 * (x1 - x0)) / width}%`;
  box.style.height = `${(100 * (y1 - y0)) / height}%`;
  box.addEventListener("click", () => tick.click());
  return box;
}

function markItem(photo, part, boxes) {
  const item = document.getElementById("mark").content.cloneNode(true).firstElementChild;
  const tick = item.querySelector("input");
  const name = `${part.mark}, ${Math.round(part.width)} px wide, ${part.pixels} pixels`;
  item.querySelector(".name").textContent = part.page > 1 ? `${name}, page ${part.page}` : name;
  tick.setAttribute("aria-label", `Fill mark ${part.index + 1} of ${photo.name}: ${name}`);
  tick.checked = !untickedMarks(photo).includes(part.index);
  const box = part.page === 1 && photo.size && boxes ? markBox(photo, part, tick) : null;
  const show = () => box?.classList.toggle("kept", !tick.checked);
  tick.addEventListener("change", () => {
    tickMark(photo, part.index, tick.checked);
    show();
  });
  for (const [event, on] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]]) {
    item.addEventListener(event, () => box?.classList.toggle("shown", on));
  }
  show();
  if (box) boxes.append(box);
  return item;
}

function fillMarks(card, photo) {
  const details = card.querySelector(".marks");
  const marks = photo.marks;
  if (!marks || (!marks.count && !marks.left && !marks.note)) return details.remove();
  details.querySelector("summary").textContent = marksSummary(marks);
  const picture = details.querySelector(".masked");
  const image = picture.querySelector("img");
  if (marks.picture) {
    image.width = photo.width;
    image.height = photo.height;
    image.src = marks.picture;
    image.alt = `${photo.name} with its marks in colour`;
  } else {
    picture.remove();
  }
  const fixed = photo.status === "reverted" || photo.status === "failed" || !page.commands.marks;
  const list = details.querySelector("ul");
  const boxes = marks.picture && !fixed ? picture : null;
  if (fixed) list.remove();
  else list.append(...marks.parts.map((part) => markItem(photo, part, boxes)));
  const more = marks.count - marks.parts.length;
  const remarks = [
    marks.note,
    more > 0 ? `${counted(more, "smaller mark")} not listed` : "",
    marks.left ? `${counted(marks.left, "more place")} left as ${marks.left === 1 ? "it is" : "they are"}: too wide, too faint, one of many, or part of a face` : "",
  ].filter(Boolean);
  const remark = details.querySelector(".reason");
  remark.textContent = remarks.join("; ");
  remark.hidden = !remarks.length;
  const fill = details.querySelector(".fill");
  fill.hidden = fixed || marks.filled || !marks.parts.length;
  const control = fill.querySelector("input, button");
  control.setAttribute("aria-label", `Fill the ticked marks of ${photo.name}`);
  if (control.type === "checkbox") {
    control.checked = decisionOn(photo).fill;
    control.addEventListener("change", () => decide(photo, { fill: control.checked }));
  } else {
    control.addEventListener("click", () => act(photo, "fill"));
  }
  return undefined;
}
