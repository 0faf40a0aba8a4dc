"""Every error that faceren raises on purpose.

FacerenError                exit status 1: one item failed, the others go on
├── ImageError              a file that is no readable image, or one we refuse to read
│   └── UncertainError      or a disk that failed while a library looked away
├── ShapeError              a tensor of another shape than the function documents
├── FaceError               a face that cannot be aligned, restored or pasted back
├── ConfigError             exit status 2: options, recipes and configurations that make no sense
├── NothingToDoError        exit status 3: no readable image among the inputs
└── MachineError           exit status 4: weights missing or wrong, device not there, disk full
    └── PeerError           another process of the same training failed, and has told why
"""

import logging

EXTRAS = {"torch": "torch", "scipy": "torch", "lightning_fabric": "train"}
"""Libraries that restoring on a CPU does without, and the extras that bring them."""


class FacerenError(Exception):
    """Base of all expected errors; the message says what was expected, what came, what to do."""

    exit_status = 1


def unforeseen(error: Exception) -> FacerenError:
    """Return an error that nobody raised on purpose as one that ends one item, not the run.

    The traceback is logged at the level DEBUG, which ``--debug`` shows.
    """
    logging.getLogger("faceren").debug("unforeseen", exc_info=error)
    if may_pass(error):
        found = FacerenError(told(error))
    else:
        text = " ".join(str(error).split())[:200]
        found = FacerenError(f"{type(error).__name__}: {text}; not foreseen, --debug tells where")
    found.__cause__ = error
    return found


def not_installed(module: str) -> str:
    """Return what to say of one of the EXTRAS that is missing, and what to do."""
    extra = EXTRAS[module]
    return f"{module}, which is not installed; install it: pip install 'faceren[{extra}]'"


def told(error: BaseException) -> str:
    """Return what the system says of a failure, with the file's name if it names one."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    filename, reason = getattr(error, "filename", None), getattr(error, "strerror", None)
    return (f"{filename}: " if filename is not None else "") + str(reason or error)


def may_pass(error: BaseException | None) -> bool:
    """Say whether an error came from the machine, not from what it worked on.

    A disk that fails or memory that is short may do better at the next try; a damaged file stays
    damaged.

    Args:
        error: Raised; what it was raised from counts, too.
    """
    seen: list[BaseException] = []
    while error is not None and not any(error is known for known in seen):
        seen.append(error)  # an error that was raised again may be its own cause
        if isinstance(error, MemoryError | UncertainError) or getattr(error, "errno", None):
            return True
        error = error.__cause__
    return False


class ImageError(FacerenError):
    """A file cannot be read as an image, or is refused (too large, empty, changed meanwhile)."""


class UncertainError(ImageError):
    """A file that should be readable is not: it is damaged, or the disk failed and was not heard.

    Some libraries pass over what the system answers; the next try will tell.
    """


class ShapeError(FacerenError):
    """A tensor has another shape, range or type than the function documents."""


class FaceError(FacerenError):
    """One face could not be aligned, restored or pasted back."""


class ConfigError(FacerenError):
    """Options, a recipe or a configuration cannot be used as given."""

    exit_status = 2


class NothingToDoError(FacerenError):
    """There is no readable image among the inputs."""

    exit_status = 3


class MachineError(FacerenError):
    """The machine lacks something: weights, a device, a library, disk space."""

    exit_status = 4


class PeerError(MachineError):
    """Another process of the same training failed; that one tells why, and this one nothing."""
