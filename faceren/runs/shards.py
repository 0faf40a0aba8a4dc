"""One of n parts of a run, for many machines: which photos it takes, where it records them.

A photo's name alone decides which part it is in. By its place in the listing, parts would be of one
size, but a photo that is added or removed would move all later ones into other parts, where nothing
is known of what was done with them.

Parts may share an output folder: each has a record, a lock and a plan of its own there, in
``OUT/.shards``, until ``commands.merge`` joins the records.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from faceren.checks import Json, whole_number
from faceren.errors import ConfigError
from faceren.images import same_name
from faceren.runs.plan import Job

SHARDS_DIR = ".shards"
"""Below the output folder; gone when the records are joined."""
RECORD_SUFFIX = ".jsonl"
LOCK_SUFFIX = ".lock"
PLANNED_SUFFIX = ".planned"
NAME = re.compile(r"(\d{1,9})-of-(\d{1,9})")


@dataclass(frozen=True, order=True)
class Shard:
    """One part of a run."""

    index: int
    """From 0."""
    count: int
    """Parts of the run."""

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def has(self, key: str) -> bool:
        """Say whether a photo is in this part; it is in exactly one of ``count``.

        Args:
            key: Its output's path below the output folder, with forward slashes, in any Unicode
                form.
        """
        digest = sha256(same_name(key).encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index

    def place(self, output: Path, suffix: str) -> Path:
        """Return where the part keeps one of its files.

        Args:
            output: The output folder.
            suffix: RECORD_SUFFIX, LOCK_SUFFIX or PLANNED_SUFFIX.
        """
        return output / SHARDS_DIR / f"{self.index}-of-{self.count}{suffix}"


def parse_shard(text: str) -> Shard | None:
    """Return what ``--shard`` says; None if it says nothing.

    Raises:
        ConfigError: If it is not I/N with I from 0 to N - 1.
    """
    if not text:
        return None
    index, _, count = (part.strip() for part in text.partition("/"))
    numbers = whole_number(index), whole_number(count)
    if numbers[0] is None or numbers[1] is None or not numbers[0] < numbers[1]:
        raise ConfigError(
            f"--shard: expected I/N with I from 0 to N - 1, as 0/3, 1/3 and 2/3, got {text!r:.60}"
        )
    return Shard(numbers[0], numbers[1])


def shards_in(output: Path, suffix: str = RECORD_SUFFIX) -> list[Shard]:
    """Return the parts that have left a file in an output folder, in order.

    Args:
        output: The folder; it need not be there.
        suffix: Of which kind.

    Raises:
        ConfigError: If a link or a pipe lies in their place: what is opened there is ours.
    """
    place = output / SHARDS_DIR
    found = sorted(place.glob(f"*{suffix}"))
    for path in (place, *found):
        if path.is_symlink():
            raise ConfigError(f"{path} is a link to {path.readlink()}; remove it, nothing is read")
        if path != place and path.exists() and not path.is_file():
            raise ConfigError(f"{path}: expected a file, this is none; move it away")
    names = map(NAME.fullmatch, (path.name.removesuffix(suffix) for path in found))
    return sorted(Shard(int(match[1]), int(match[2])) for match in names if match)


def check_merged(output: Path, command: str, shard: Shard | None = None) -> None:
    """Refuse a folder in which the records of parts stand that do not belong to this run.

    Args:
        output: The folder.
        command: Of the run.
        shard: The part that is to be done; None is the whole.

    Raises:
        ConfigError: If there are any, of another number of parts.
    """
    others = [o for o in shards_in(output) if shard is None or o.count != shard.count]
    if others:
        same = "" if shard is None else f" (this is {shard})"
        raise ConfigError(
            f"{output} holds the records of {named(others)}{same}, not yet merged; when all of "
            f"them are done: faceren {command} --merge {output}"
        )


def part_of(shard: Shard | None, every: Sequence[Job], own: int) -> Json:
    """Return what a part's header says beside its run's, by which ``merge`` can tell it is whole.

    Args:
        shard: The part; of None, which is the whole, there is nothing to say.
        every: What all parts are to do.
        own: How much of it this part is.
    """
    if shard is None:
        return {}
    part: Json = {"index": shard.index, "count": shard.count, "photos": own}
    part |= {"listing": listing_digest([job.key for job in every]), "ended": False}
    return {"shard": part}


def named(shards: Collection[Shard]) -> str:
    """Return parts as messages name them: ``shard 0/3``, ``shards 0/3, 2/3``, five at most."""
    some = [str(shard) for shard in sorted(shards)]
    more = f" and {len(some) - 5:,} more" * (len(some) > 5)
    return f"shard{'s' * (len(some) > 1)} {', '.join(some[:5])}{more}"


def listing_digest(keys: Collection[str]) -> str:
    """Return what tells whether two parts have seen the same photos: a SHA-256 of their names."""
    text = "\n".join(sorted(map(same_name, keys)))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
