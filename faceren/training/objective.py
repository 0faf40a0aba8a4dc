"""What a step minimises: the weighted losses of the generator, and that of the discriminator.

The images of a step are looked at by several networks; what they have in common is computed once.

Shape letters: N batch, H and W pixels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.assets import asset
from faceren.faces.alignment import TEMPLATE
from faceren.networks.discriminator import Discriminator, Scores, Seen, score_pair
from faceren.networks.perceptual import LpipsAlexNet, VggFeatures
from faceren.networks.projected import (
    MixedDiscriminator,
    MixedFeatures,
    ProjectedDiscriminator,
    augmented,
)
from faceren.training.losses import (
    FedLoss,
    GridOffset,
    cross_entropy,
    dice_loss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)
from faceren.training.processes import Portion
from faceren.training.recipe import LossRecipe

INNER_MARGIN = 50.0
"""Pixels of a face of 512 around eyes, nose tip and mouth corners: lids, brows and lips, too."""
CUT, INNER_SIDE = 192, 160
"""Pixels of what a mixed discriminator sees of a face, and of eyes to mouth: its maps of stride 32
are 6 and 5 pixels wide then, and a step takes 60 % of the time that whole faces of 256 would."""
GRID = 4
"""Stride of AlexNet's first layer, and of the pixel-unshuffle stem."""
FAINT = 1e-6
"""Mean of a Gram matrix below which there is no texture to compare with."""
Parts = dict[str, Tensor]
"""Each loss, a scalar, by its recipe name."""


def grid_offset(step: int) -> GridOffset:
    """Return how many rows and columns of a step's images are left out: all 16 pairs in turn.

    AlexNet looks at every fourth pixel, always in the same places. A network that makes its pixels
    in blocks of four learns to please it in these places alone; so the grid moves.
    """
    return step % GRID, step // GRID % GRID


@dataclass(frozen=True)
class View:
    """A batch of images and what AlexNet sees in it."""

    images: Tensor
    """(N, 3, H, W), not clamped."""
    cut: Tensor
    """The same without some of the first rows and columns, see ``grid_offset``."""
    maps: Sequence[Tensor] = ()
    """AlexNet's five maps of ``cut``; none if no loss needs them."""
    mixed: Sequence[Tensor] = ()
    """What a mixed discriminator sees of them."""

    def detached(self) -> "View":
        """Return it without gradients."""
        maps, mixed = ([x.detach() for x in seen] for seen in (self.maps, self.mixed))
        return View(self.images.detach(), self.cut.detach(), maps, mixed)


@dataclass(frozen=True)
class Trio:
    """The batches of a step, image by image of the same face."""

    output: View
    damaged: View
    clean: View

    def detached(self) -> "Trio":
        """Return it without gradients."""
        return Trio(self.output.detached(), self.damaged, self.clean)


@dataclass(frozen=True)
class Views:
    """Everything that the losses of a step look at."""

    all: Trio
    """All images."""
    whole: Tensor
    """(N,) bool, which of them show a whole face, aligned."""
    inner: Trio | None
    """Eyes, nose and mouth of those; None if no loss needs them."""
    offset: GridOffset
    images: Portion
    """Which of the step's images these are."""
    faces: Portion
    """Which of the step's whole faces are among them."""

    def detached(self) -> "Views":
        """Return it without gradients."""
        return replace(self, all=self.all.detached(), inner=self.inner and self.inner.detached())


class Objective(nn.Module):
    """The losses of a recipe. What has weight zero is not built.

    Args:
        recipe: The weights.

    Raises:
        MachineError: If weights of a loss network are missing or damaged.
        ConfigError: If ``vgg_weights`` holds no VGG.
    """

    def __init__(self, recipe: LossRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        alexnet = bool(recipe.looks_through_alexnet)
        self.lpips = LpipsAlexNet(asset("lpips-alexnet")).eval() if alexnet else None
        self.vgg = VggFeatures(Path(recipe.vgg_weights)).eval() if recipe.vgg else None
        self.mixed = MixedFeatures(asset("efficientnet-lite1")).eval() if recipe.mixed else None
        self.fed = FedLoss().eval() if recipe.fed else None

    def views(
        self,
        output: Tensor,
        damaged: Tensor,
        clean: Tensor,
        *,
        whole: Tensor | None = None,
        step: int = 0,
        images: Portion | None = None,
        faces: Portion | None = None,
    ) -> Views:
        """Return what the losses look at.

        Args:
            output: (N, 3, H, W), not clamped.
            damaged: The same shape, in [0, 1].
            clean: The same shape, in [0, 1].
            whole: (N,) bool, which of them show a whole face, aligned; all if not given.
            step: Steps done: decides where the grid of the perceptual networks begins, see
                ``grid_offset``, and how the images of a mixed discriminator are augmented.
            images: Which of the step's images these are; all if not given.
            faces: Which of the step's whole faces are among them; all if not given.
        """
        recipe, three, offset = self.recipe, (output, damaged, clean), grid_offset(step)
        if whole is None:
            whole = torch.ones(len(output), dtype=torch.bool, device=output.device)
        images = images or Portion.all_of(len(output))
        faces = faces or Portion.all_of(int(whole.sum()))
        compared = bool(recipe.lpips or recipe.projected)
        every = self._trio(three, offset, compared=compared, scored=recipe.projected)
        every = self._with_mixed(every, CUT, images, seed=2 * step)
        inner = None
        if recipe.inner or recipe.gram or recipe.discriminator_inner:
            cut = [inner_face(chosen(batch, whole)) for batch in three]
            scored = recipe.discriminator_inner and recipe.projected
            inner = self._trio(cut, offset, compared=True, scored=scored)
            if recipe.discriminator_inner and len(cut[0]):
                inner = self._with_mixed(inner, INNER_SIDE, faces, seed=2 * step + 1, enlarged=True)
        return Views(every, whole, inner, offset, images, faces)

    def _with_mixed(
        self, trio: Trio, side: int, portion: Portion, *, seed: int, enlarged: bool = False
    ) -> Trio:
        """Return images with what a mixed discriminator sees of them, if there is one.

        Args:
            trio: The images.
            side: Of the cut, pixels.
            portion: Which of those of the step they are.
            seed: Of the augmentation.
            enlarged: Bring the images to ``side`` first.
        """
        if self.mixed is None:
            return trio
        images = [view.images for view in (trio.output, trio.damaged, trio.clean)]
        if enlarged:
            size = (side, side)
            images = [F.interpolate(x, size, mode="bicubic", align_corners=False) for x in images]
        output, damaged, clean = augmented(
            images, seed=seed, side=side, first=portion.first, total=portion.total
        )
        kind = output.device.type
        # on a CPU, bf16 goes backward through depthwise layers slowly
        with torch.autocast(kind, enabled=kind != "cpu" and torch.is_autocast_enabled(kind)):
            ours = [x.float() for x in self.mixed(output.float())]
        with torch.no_grad():
            theirs = [x.float().chunk(2) for x in self.mixed(torch.cat([damaged, clean]))]
        return Trio(
            replace(trio.output, mixed=ours),
            replace(trio.damaged, mixed=[halves[0] for halves in theirs]),
            replace(trio.clean, mixed=[halves[1] for halves in theirs]),
        )

    def _trio(
        self, three: Sequence[Tensor], offset: GridOffset, *, compared: bool, scored: bool
    ) -> Trio:
        """Return images with AlexNet's maps of what is compared (not the damaged) or scored."""
        views = []
        for images, mapped in zip(three, (compared, scored, compared), strict=True):
            cut = images[:, :, offset[0] :, offset[1] :]
            maps = self.lpips.maps(cut) if mapped and self.lpips is not None else ()
            views.append(View(images, cut, maps))
        return Trio(*views)

    def parts(self, views: Views, discriminator: nn.Module | None) -> Parts:
        """Return what these images add to the generator's losses, each a scalar, unweighted.

        Losses of whole faces are 0 in a step that has none.

        Args:
            views: From this objective.
            discriminator: Needed if a loss has to do with it. It gets no gradient.
        """
        parts: Parts = {}
        output, clean, inner = views.all.output, views.all.clean, views.inner
        if self.recipe.bce:
            parts["bce"] = cross_entropy(output.images, clean.images)
        if self.recipe.dice:
            parts["dice"] = dice_loss(output.images, clean.images)
        if self.recipe.l1:
            parts["l1"] = F.l1_loss(output.images, clean.images)
        if self.lpips is not None and self.recipe.lpips:
            parts["lpips"] = self.lpips.distance(output.maps, clean.maps).mean()
        if self.vgg is not None:
            with torch.no_grad():
                target = self.vgg(clean.images)
            parts["vgg"] = perceptual_loss(self.vgg(output.images), target)
        parts = {name: views.images.share * part for name, part in parts.items()}
        if discriminator is not None:
            parts |= self._adversarial(views, discriminator)
        of_faces: Parts = {}
        if self.lpips is not None and self.recipe.inner and inner is not None:
            distances = self.lpips.distance(inner.output.maps, inner.clean.maps)
            of_faces["inner"] = distances.sum() / max(1, len(distances))
        if self.recipe.gram and inner is not None:
            of_faces["gram"] = gram_distance(inner.output.maps[:2], inner.clean.maps[:2])
        if self.fed is not None:
            faces = [chosen(view.images, views.whole) for view in (output, clean)]
            of_faces["fed"] = self.fed(*faces, offset=views.offset)
        return parts | {name: views.faces.share * part for name, part in of_faces.items()}

    def _adversarial(self, views: Views, discriminator: nn.Module) -> Parts:
        parts: Parts = {}
        damaged, output, clean = self._seen(views)
        with _frozen(discriminator):
            if self.recipe.features:
                ours, theirs = score_pair(discriminator, damaged, output, clean)
                weights = self._weights(views, ours)
                parts["features"] = feature_matching_loss(ours, theirs, weights)
            else:  # the clean images' own scores are not asked for
                ours = discriminator(damaged, output)
        if self.recipe.gan:
            parts["gan"] = generator_loss(ours, self._weights(views, ours))
        return parts

    def _weights(self, views: Views, scores: Scores) -> list[float]:
        """Return what each scale weighs in the step: one of the inner face by its whole faces."""
        shares = [views.images.share]
        if self.recipe.discriminator_inner and (views.faces.total or not self.recipe.mixed):
            shares.append(views.faces.share)
        here = len(self._regions(views))  # of these images: mixed maps of no face are left out
        each = len(scores) // here
        return [share / (each * len(shares)) for share in shares[:here] for _ in range(each)]

    def discriminator_loss(self, views: Views, discriminator: nn.Module) -> Tensor:
        """Return what these images add to what the discriminator minimises, a scalar.

        No gradient reaches the generator.

        Args:
            views: From this objective.
            discriminator: The discriminator, wrapped or not.
        """
        ours, theirs = score_pair(discriminator, *self._seen(views.detached()))
        return discriminator_loss(ours, theirs, self._weights(views, ours))

    def _regions(self, views: Views) -> list[Trio]:
        """Return what the discriminator scores by itself: all images, and the inner faces."""
        trios = [views.all]
        if self.recipe.discriminator_inner and views.inner is not None:
            trios.append(views.inner)
        if self.recipe.mixed:
            trios = [trio for trio in trios if trio.output.mixed]  # none without whole faces
        return trios

    def _seen(self, views: Views) -> tuple[Seen, Seen, Seen]:
        """Return what the discriminator takes of damaged images, output and clean images.

        The paper's sees the images as they are, a projected one those that AlexNet has seen.
        """
        trios = self._regions(views)

        def of(name: str) -> Seen:
            seen: list[View] = [getattr(trio, name) for trio in trios]
            if self.recipe.mixed:
                return [tensor for view in seen for tensor in (view.cut, *view.mixed)]
            if not self.recipe.projected:
                return seen[0].images
            return [tensor for view in seen for tensor in (view.cut, *view.maps)]

        return of("damaged"), of("output"), of("clean")

    def total(self, parts: Parts) -> Tensor:
        """Return the weighted sum."""
        weighted = [getattr(self.recipe, name) * part for name, part in parts.items()]
        return torch.stack(weighted).sum()


def gram_distance(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Return how far Gram matrices of maps are apart, a scalar: 0 equal, 1 as far as from none.

    Args:
        ours: (N, C, h, w) each; if there are no images the distance is 0.
        theirs: The same shapes; no gradient reaches them.
    """

    def gram(x: Tensor) -> Tensor:
        flat = x.float().flatten(2)  # (N, C, hw)
        return flat @ flat.transpose(1, 2) / flat.shape[2]

    losses = []
    for mine, target in zip(ours, theirs, strict=True):
        a, b = gram(mine), gram(target.detach())
        far = (a - b).abs().mean((1, 2)) / b.abs().mean((1, 2)).clamp(min=FAINT)
        losses.append(far.sum() / max(1, len(far)))
    return torch.stack(losses).mean()


def chosen(images: Tensor, which: Tensor) -> Tensor:
    """Return those of (N, 3, H, W) images that (N,) bool says; all of them without a copy."""
    return images if bool(which.all()) else images[which]


def inner_face(faces: Tensor) -> Tensor:
    """Return eyes, nose and mouth of aligned faces, (N, 3, h, w) of (N, 3, S, S)."""
    unit = faces.shape[-1] / 512
    left, top = (round(unit * (edge - INNER_MARGIN)) for edge in TEMPLATE.min(0))
    right, bottom = (round(unit * (edge + INNER_MARGIN)) for edge in TEMPLATE.max(0))
    return faces[:, :, top:bottom, left:right]


def build_discriminator(
    recipe: LossRecipe, seed: int
) -> Discriminator | ProjectedDiscriminator | MixedDiscriminator | None:
    """Return the discriminator with weights drawn from a seed; None if no loss needs it."""
    if not recipe.adversarial:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)  # other numbers than the generator's
        if recipe.discriminator == "mixed":
            return MixedDiscriminator(
                width=recipe.discriminator_width, inner=recipe.discriminator_inner
            )
        if recipe.discriminator == "projected":
            return ProjectedDiscriminator(
                width=recipe.discriminator_width, inner=recipe.discriminator_inner
            )
        return Discriminator(width=recipe.discriminator_width)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network, but not into it.

    Its spectral norms stand still meanwhile: its own step moves them on.
    """
    learning = network.training
    network.requires_grad_(requires_grad=False).eval()
    try:
        yield
    finally:
        network.requires_grad_(requires_grad=True).train(learning)
