"""What the page asks for is done here, one thing after the other, and can be undone.

Every act goes through the commands, as if a person had typed them: the same refusals, the same
record. Before an act, the photo's file and its line of the record are put aside; to undo is to put
them back, and to write that down.
"""

import json
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from faceren.assets import shipped_models
from faceren.checks import Json
from faceren.commands.one import restore_face
from faceren.commands.options import FolderOptions, RunOptions
from faceren.commands.restore import restore
from faceren.commands.review import (
    STRONGER,
    WEAKER,
    PagePictures,
    options_of,
    revert,
)
from faceren.errors import ConfigError, FacerenError, unforeseen
from faceren.files import atomic_path, sha256_of
from faceren.images import shown
from faceren.pages.marks import kept_marks, mark_at
from faceren.pages.review import pictures_of
from faceren.restoration.options import RestoreOptions
from faceren.runs.folder import MASKS_DIR, inside, mask_key, writing
from faceren.runs.lists import Choice
from faceren.runs.manifest import (
    MANIFEST_NAME,
    Line,
    Manifest,
    ManifestWriter,
    read_run,
    restate_header,
)

Act = Literal["keep", "again", "weaker", "stronger", "left", "mark", "fill"]
"""Keep the original; restore anew, as the photo was, weaker or stronger; restore a face, too, that
was left alone; leave a mark on the print as it is, or no longer; fill the marks that were only
shown. The first four are for a whole photo or for one face of it."""
MOST_UNDONE = 100
"""Acts that can be undone."""
LEAST_STRENGTH = 0.05


@dataclass(frozen=True)
class State:
    """What the page shows of the work."""

    busy: bool = False
    text: str = ""
    """What is being done, or was done at last."""
    done: int = 0
    total: int = 0
    problem: str = ""
    """Why the last thing was not done."""
    finished: int = 0
    """How many things are done since the start: a page that knows fewer asks for the photos."""
    undoable: int = 0

    def to_json(self) -> Json:
        """Return what the page is sent."""
        return asdict(self)


@dataclass(frozen=True)
class Before:
    """A photo as it was before an act."""

    key: str
    line: Line
    header: Line
    kept: Path | None
    """A copy of its output; None if it had none."""
    masks: tuple[tuple[Path, Path], ...] = ()
    """Its masks and a copy of each."""
    after: str = ""
    """Hash of the output after the act: what has another one by now is somebody else's."""


class Desk:
    """One thread does what is asked for, in order.

    Args:
        output: The folder that ``restore`` writes.
        options: How photos are restored that the folder does not know yet.
        how: With what.
    """

    def __init__(self, output: Path, options: RestoreOptions, how: RunOptions) -> None:
        self.output = output
        self.options = options
        self.how = how
        self._state = State()
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[str, Callable[[], str]] | None] = queue.SimpleQueue()
        self._undo: list[Before] = []
        self._aside = tempfile.TemporaryDirectory(
            prefix="faceren-undo-",
            ignore_cleanup_errors=True,  # a photo may be worked on yet
        )
        self._number = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="faceren-desk", daemon=True)
        self._thread.start()

    @property
    def state(self) -> State:
        """What the page shows now."""
        with self._lock:
            return self._state

    def act(self, act: str, key: str, index: int | None = None) -> None:
        """Ask for an act on a photo.

        Args:
            act: One of ``Act``.
            key: The photo's name in the record.
            index: Of a face, from 0, or of a mark for ``mark``; None is the whole photo.

        Raises:
            ConfigError: If there is no such act, photo, face or mark.
        """
        if act not in get_args(Act):
            raise ConfigError(f"expected one of {', '.join(get_args(Act))}, got {act!r:.40}")
        line = self._manifest().items.get(key)
        if line is None:
            raise ConfigError(f"{key!r:.120} is none of the photos of this folder")
        if act == "mark":
            if index is None or mark_at(line, index) is None:
                raise ConfigError(f"expected the number of a mark, got {index!r:.20}")
        elif act == "left" or index is not None:
            faces = line.get("left" if act == "left" else "faces") or []
            if not faces:
                none = "was left alone" if act == "left" else "was found"
                raise ConfigError(f"{shown(key)}: no face of it {none}")
            if index is None or not 0 <= index < len(faces):
                raise ConfigError(f"expected a face from 0 to {len(faces) - 1}, got {index!r:.20}")
            if act == "left" and faces[index].get("page", 0):  # a list of boxes has no pages
                raise ConfigError(f"{shown(key)}: faces of its first page alone can be chosen")
        face = index is not None and act not in ("left", "mark")
        of = f"{shown(key)}, face {(index or 0) + 1}" if face else shown(key)
        self._ask(f"{of}: {WORDS[act]}", lambda: f"{of}: {self._act(act, key, index)}")

    def add(self, inputs: Sequence[Path], name: str) -> None:
        """Ask for photos to be restored into the folder.

        Args:
            inputs: Photos and folders.
            name: What they are called while it goes on.
        """
        self._ask(f"restoring {shown(name)}", lambda: self._restored(inputs))

    def undo(self) -> None:
        """Ask for the last act that was done to be undone.

        Raises:
            ConfigError: If there is none.
        """
        with self._lock:
            if not self._undo:
                raise ConfigError("there is nothing to undo")
        self._ask("undoing", self._undone)

    def end(self, seconds: float = 30.0) -> None:
        """Stop after the photo that is being worked on; what was asked for beyond is not done."""
        self._ending.set()
        self._waiting.put(None)
        self._thread.join(seconds)
        self._aside.cleanup()

    def _ask(self, text: str, job: Callable[[], str]) -> None:
        with self._lock:
            self._state = replace(self._state, busy=True, text=f"{text}…", problem="")
        self._waiting.put((text, job))

    def _work(self) -> None:
        while (asked := self._waiting.get()) is not None and not self._ending.is_set():
            text, job = asked
            self._show(busy=True, text=f"{text}…", done=0, total=0)
            problem = ""
            try:
                text = job() or text
            except FacerenError as error:
                problem = str(error)
            except Exception as error:  # the page stays, whatever happens to one photo
                problem = str(unforeseen(error))
            with self._lock:
                self._state = replace(
                    self._state,
                    busy=not self._waiting.empty(),
                    text="" if problem else text,
                    problem=shown(problem),
                    finished=self._state.finished + 1,
                    undoable=len(self._undo),
                )

    def _show(self, **changes: Any) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)

    def _manifest(self) -> Manifest:
        return read_run(self.output, "restore")

    def _act(self, act: str, key: str, index: int | None) -> str:
        manifest = self._manifest()
        line, options = manifest.items[key], options_of(manifest.headers[key])
        before = self._put_aside(manifest, key)
        if act == "keep":
            choices = [Choice(key, index)]
            for taken in revert(self.output, choices, max_pixels=self.how.max_pixels).results:
                if taken.status == "failed":
                    raise FacerenError(taken.reason)
        elif act in ("mark", "fill"):
            turned = set() if index is None else {index}
            if options.repair == "suggest" and not turned:
                options = replace(options, repair="auto")
            self._anew(before, options, kept=kept_marks(before.line) ^ turned)
        elif act == "left":
            box = json.dumps({"photo": key, "box": list(line["left"][index]["box"])})
            self._anew(before, options, boxes=[box])
        elif index is None:
            self._anew(before, replace(options, strength=changed(options.strength, act)))
        else:
            face = line["faces"][index]
            now = options.strength if face.get("reverted") else face.get("strength")
            strength = options.strength if act == "again" or not now else changed(now, act)
            how = self._how(before.header)
            restore_face(self.output, key, index, strength, how)
        if self._manifest().items[key] != line:  # else nothing has changed that could be undone
            self._undo = [*self._undo, replace(before, after=self._hash(key))][-MOST_UNDONE:]
        return DONE[act]

    def _how(self, header: Line) -> RunOptions:
        """Return with what a photo is restored anew: the shipped model that it was restored by."""
        model = header.get("model_option")
        return replace(self.how, model=model) if model in shipped_models() else self.how

    def _anew(
        self,
        before: Before,
        options: RestoreOptions,
        *,
        boxes: Sequence[str] = (),
        kept: Set[int] | None = None,
    ) -> None:
        """Restore one photo anew.

        Args:
            before: The photo.
            options: How.
            boxes: A face of it that was left alone, as a line of ``--boxes``.
            kept: Its marks that are to stay; None: those that stayed.
        """
        folder, key, line = Path(self._aside.name), before.key, before.line
        stay = kept_marks(line) if kept is None else kept
        places = [place for index in sorted(stay) if (place := mark_at(line, index))]
        marks = [json.dumps({"photo": key, "page": page, "box": box}) for page, box in places]
        asked = FolderOptions(
            only=_listed(folder / "only.txt", [json.dumps(key)]),
            boxes=_listed(folder / "boxes.jsonl", boxes) if boxes else None,
            repair_keep=_listed(folder / "marks.jsonl", marks) if marks else None,
        )
        self._run([], options, asked, self._how(before.header))

    def _restored(self, inputs: Sequence[Path]) -> str:
        counts = self._run(inputs, self.options, FolderOptions(), self.how)
        return ", ".join(f"{number} {words}" for words, number in counts.items() if number)

    def _run(
        self,
        inputs: Sequence[Path],
        options: RestoreOptions,
        folder: FolderOptions,
        how: RunOptions,
    ) -> dict[str, int]:
        watcher = PagePictures(pictures_of(self.output))
        run = restore(inputs, self.output, options, how=how, folder=folder, watcher=watcher)
        counts = dict.fromkeys(("restored", "without a face", "unchanged", "failed"), 0)
        names = {"no_face": "without a face", "skipped": "unchanged"}
        problems: list[str] = []
        for done, photo in enumerate(run.results, start=1):
            self._show(done=done, total=run.total)
            counts[names.get(photo.status, photo.status)] += 1
            if photo.status == "failed":
                problems.append(photo.reason)
            if self._ending.is_set():
                break
        if problems:
            more = f" ({len(problems) - 1} more failed)" if problems[1:] else ""
            raise FacerenError(problems[0] + more)
        return counts

    def _put_aside(self, manifest: Manifest, key: str) -> Before:
        line, kept = manifest.items[key], None
        made = inside(self.output, key)
        self._number += 1
        if line.get("output") and made.is_file():
            kept = Path(self._aside.name) / f"{self._number}{made.suffix}"
            shutil.copyfile(made, kept)
        masks = []
        for number in range(len(line.get("repair") or [])):
            mask = inside(self.output / MASKS_DIR, mask_key(key, number))
            if mask.is_file():
                copy = Path(self._aside.name) / f"{self._number}.{number}.mask"
                masks.append((mask, Path(shutil.copyfile(mask, copy))))
        return Before(key, line, manifest.headers[key], kept, tuple(masks))

    def _hash(self, key: str) -> str:
        made = inside(self.output, key)
        return sha256_of(made) if made.is_file() else ""

    def _undone(self) -> str:
        before = self._undo.pop()
        made = inside(self.output, before.key)
        manifest = self._manifest()
        if self._hash(before.key) != before.after:
            raise ConfigError(f"{shown(before.key)} has changed since; it is not undone")
        with writing(self.output, [before.key], known=manifest.items):
            kept = [] if before.kept is None else [(made, before.kept)]
            for place, copy in (*kept, *before.masks):
                with atomic_path(place) as temporary:
                    shutil.copyfile(copy, temporary)
            with ManifestWriter(self.output / MANIFEST_NAME, before.header) as writer:
                writer.append(before.line)
            restate_header(self.output / MANIFEST_NAME, manifest.header)
        return f"{shown(before.key)}: as it was before"


def changed(strength: float, act: str) -> float:
    """Return the strength of what is to be restored weaker or stronger, or as it was."""
    factor = {"weaker": WEAKER, "stronger": STRONGER}.get(act, 1.0)
    return min(1.0, max(LEAST_STRENGTH, round(strength * factor, 2)))


def _listed(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


WORDS: dict[str, str] = {
    "keep": "putting the original back",
    "again": "restoring",
    "weaker": "restoring, weaker",
    "stronger": "restoring, stronger",
    "left": "restoring this face, too",
    "mark": "filling other marks",
    "fill": "filling its marks",
}
DONE: dict[str, str] = {
    "keep": "the original is back",
    "again": "restored",
    "weaker": "restored, weaker",
    "stronger": "restored, stronger",
    "left": "restored with this face",
    "mark": "the marks that are ticked are filled",
    "fill": "its marks are filled",
}
