"""What restores photos, loaded from what was asked for: on this machine, and on others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from faceren.commands.options import FolderOptions, RunOptions
from faceren.errors import ConfigError
from faceren.faces.given import GivenFace
from faceren.images import DEFAULT_MAX_PIXELS, Box
from faceren.restoration.options import RestoreOptions

if TYPE_CHECKING:  # torch takes seconds to load: first everything that can be refused without it
    from faceren.restoration.finish import Watcher
    from faceren.restoration.pipeline import Pipeline
    from faceren.restoration.repair.repair import Repairer


@dataclass(frozen=True)
class Workshop:
    """What a run's pipeline is made of, on this machine and on others."""

    options: RestoreOptions
    how: RunOptions
    folder: FolderOptions
    given: Mapping[str, tuple[GivenFace, ...]]
    """Faces that a person has marked, by the keys of their photos."""
    kept: Mapping[str, frozenset[tuple[int, Box]]]
    """Marks that are to stay, see ``given_marks``."""
    watcher: "Watcher | None" = None

    def pipeline(self) -> "Pipeline":
        """Load what restores.

        Raises:
            ConfigError: If an option makes no sense.
            MachineError: If weights, a library or the device are not there.
        """
        return replace(
            load_pipeline(self.options, self.how),
            given=self.given,
            repairer=repairer_of(self.options, self.folder.repair_mask, self.kept),
            save_faces=self.folder.save_faces,
            watcher=self.watcher,
        )


def repairer_of(
    options: RestoreOptions,
    masks: Path | None = None,
    kept: Mapping[str, frozenset[tuple[int, Box]]] | None = None,
) -> "Repairer | None":
    """Return what looks for marks on prints, its weights loaded; None if nothing is to.

    Args:
        options: What to do with each photo.
        masks: Folder of masks to fill by.
        kept: Marks that are to stay, see ``given_marks``.

    Raises:
        ConfigError: If that is no folder, or marks are to stay where none are looked for.
        MachineError: If weights or ONNX Runtime are missing.
    """
    from faceren.restoration.repair.repair import Repairer

    if masks is not None and not masks.is_dir():
        raise ConfigError(f"--repair-mask: expected a folder of masks, {masks} is none")
    if options.repair == "off" and kept:
        raise ConfigError("--repair-keep: expected --repair suggest, auto or strong beside it")
    if options.repair == "off" and masks is None:
        return None
    repairer = Repairer(options.repair, masks, kept or {})
    if options.repair != "off":
        _ = repairer.finder
    return repairer


def load_pipeline(options: RestoreOptions, how: RunOptions) -> "Pipeline":
    """Load the networks that a restoration needs.

    Args:
        options: What to do with each photo; what is ``auto`` in them and depends on what is
            installed is settled in the pipeline's.
        how: With what it is done.

    Raises:
        ConfigError: If the model or the device is unknown.
        MachineError: If weights, a library or the device are not there.
    """
    from faceren.assets import model_path
    from faceren.engines import load_engine
    from faceren.faces.tools import resolve_mask
    from faceren.restoration.photo import tools_for
    from faceren.restoration.pipeline import Pipeline, automatic_workers

    options = replace(options, mask=resolve_mask(options.mask, how.weights_dir))
    restorer = load_engine(
        model_path(how.model),
        engine=how.engine,
        device=how.device,
        precision=how.precision,
        batch_size=None if how.batch_size == "auto" else how.batch_size,
        ensemble=options.ensemble,
    )
    return Pipeline(
        restorer=restorer,
        options=options,
        max_pixels=how.max_pixels or DEFAULT_MAX_PIXELS,
        workers=how.workers or automatic_workers(restorer),
        max_memory=how.memory,
        tools=tools_for(options, restorer, how.weights_dir, offline=how.offline),
        repairer=repairer_of(options),
    )
