"""What ``faceren restore`` does with earlier runs: page, check, parts joined, photos taken back."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from faceren.cli.screen import Screen, counted
from faceren.commands.options import RunOptions
from faceren.errors import ConfigError
from faceren.runs.storage import is_stored, spelled

if TYPE_CHECKING:
    from faceren.pages.entries import Check
    from faceren.pages.review import Review


def show_page(output: Path, how: RunOptions, screen: Screen) -> int:
    """Write the review page of a run and say what is gone; return the exit status."""
    written = reviewed(output, how, "bytes")
    for note in written.notes:
        screen.say(f"warning: {note}")
    screen.say(f"{counted(written.photos, 'photo')}; wrote {spelled(written.page)}")
    return 0


def reviewed(output: Path, how: RunOptions, check: "Check") -> "Review":
    """Write the review page of a run, on a disk or in a store."""
    if is_stored(output):
        from faceren.commands.stored_review import review_stored

        return review_stored(output, check=check, max_pixels=how.max_pixels)
    from faceren.commands.review import review

    return review(output, check=check, max_pixels=how.max_pixels, workers=how.workers)


def show_merge(
    folders: tuple[Path, ...], output: Path | None, command: str, screen: Screen
) -> tuple[Path, int]:
    """Join the parts of a run; return where they are now, and the exit status."""
    from faceren.commands.merge import merge
    from faceren.commands.stored import merge_stored

    stored = [path for path in (*folders, output) if path is not None and is_stored(path)]
    if stored and (len(folders) != 1 or output not in (None, *folders)):
        raise ConfigError(
            f"--merge: expected one folder, as all parts that write into a store share it, got "
            f"{', '.join(map(spelled, (*folders, *([output] if output else []))))}"
        )
    if stored:
        merged = merge_stored(folders[0], command)
    else:
        merged = merge(folders, output, command=command)
    for problem in merged.problems:
        screen.error(problem)
    counts = merged.statuses
    done = "restored" if command == "restore" else "degraded"
    parts = [f"{counts[done]:,} {done}"]
    parts += [f"{counts['no_face']:,} without a face"] * bool(counts["no_face"])
    parts += [f"{counts['failed']:,} failed"] * bool(counts["failed"])
    photos, shards = counted(counts.total(), "photo"), counted(merged.shards, "shard")
    screen.say(f"{shards}, {photos}: {', '.join(parts)}; in {spelled(merged.output)}")
    return merged.output, 1 if merged.problems else 0


def show_verification(output: Path, screen: Screen) -> int:
    """Say what of a run is not as it was recorded; return the exit status."""
    from faceren.commands.verify import verify

    found = verify(output)
    for problem in found.problems:
        screen.error(problem)
    differences, states, without = 0, Counter[str](), 0
    for photo in screen.progress(found.results, found.total, "photos"):
        screen.item(photo.to_json())
        differences += len(photo.differences)
        states[photo.input] += 1
        without += photo.output == "none"
        for difference in photo.differences:
            screen.error(difference)
    parts = ["all is as recorded"]
    if differences:
        parts = [counted(differences, "file differs", "files differ")]
    if without:
        parts.append(f"{without} failed then and {'have' if without > 1 else 'has'} no output")
    if states["gone"]:
        parts.append(counted(states["gone"], "original is not there", "originals are not there"))
    if found.problems:
        parts.append(counted(len(found.problems), "line is damaged", "lines are damaged"))
    screen.say(f"{counted(found.total, 'photo')}: {', '.join(parts)}; in {spelled(output)}")
    return 1 if differences or found.problems else 0


def show_revert(
    choices: Path, output: Path, how: RunOptions, screen: Screen, *, with_page: bool
) -> int:
    """Put originals back, and say so as it goes on; return the exit status."""
    from faceren.commands.review import revert
    from faceren.commands.stored_review import revert_stored
    from faceren.runs.lists import read_list

    listed = read_list(choices, "--revert")
    take = revert_stored if is_stored(output) else revert
    run = take(output, listed, max_pixels=how.max_pixels, workers=how.workers)
    counts: Counter[str] = Counter()
    for taken in screen.progress(run.results, run.total, "photos"):
        counts[taken.status] += 1
        screen.item(taken.line)
        if taken.status == "failed":
            screen.error(taken.reason)
        elif taken.reason:
            screen.say(taken.reason)
    parts = [f"the original is back in {counts['reverted']}"]
    parts += [f"{counts['unchanged']} had it already"] * bool(counts["unchanged"])
    parts += [f"{counts['failed']} failed"] * bool(counts["failed"])
    screen.say(f"{counted(run.total, 'photo')}: {', '.join(parts)}; in {spelled(output)}")
    if with_page:
        screen.say(f"look at {spelled(reviewed(output, how, 'there').page)}")
    return 1 if counts["failed"] else 0
