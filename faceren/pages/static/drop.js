"use strict";
// Photos that are dropped onto the page, or chosen, are restored one after the other.

const drop = Object.fromEntries(
  ["drop", "files", "by-path", "path"].map((id) => [id, document.getElementById(id)]),
);

async function restoreFiles(files) {
  for (const file of files) {
    await ask(`drop?name=${encodeURIComponent(file.name)}`, file, "application/octet-stream");
    if (!work["work-problem"].hidden && files.length > 1) return; // said before the next one hides it
  }
}

drop.files.addEventListener("change", async () => {
  await restoreFiles([...drop.files.files]);
  drop.files.value = "";
});
drop["by-path"].addEventListener("submit", (event) => {
  event.preventDefault();
  ask("folder", JSON.stringify({ path: drop.path.value }));
});
for (const over of ["dragenter", "dragover"]) {
  document.addEventListener(over, (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    drop.drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.drop.classList.remove("over");
  restoreFiles([...event.dataTransfer.files]);
});
watch();
