"""What a step minimises: the weighted losses of the generator, and that of the discriminator.

Shape letters: N batch, H and W pixels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.assets import asset
from faceren.faces.alignment import TEMPLATE
from faceren.networks.discriminator import Discriminator, Judged, judge_pair
from faceren.networks.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)
from faceren.networks.perceptual import LpipsAlexNet
from faceren.networks.projected import ProjectedDiscriminator
from faceren.networks.vgg import VggFeatures
from faceren.training.embedding import FaceEmbedding, identity_loss
from faceren.training.fed_loss import FedLoss
from faceren.training.loss_recipe import LossRecipe
from faceren.training.views import Phase, Trio, View, Views, moved

INNER_MARGIN = 50.0
"""Around eyes, nose tip and mouth corners, pixels of a face of 512."""
EYES_MARGIN = 32.0, 44.0
"""Above and below, left and right of the eyes' centres, pixels of a face of 512."""
EYES_SCALE = 2
"""An iris is as wide as five places of AlexNet's first map: enlarged, ten."""
Parts = dict[str, Tensor]
"""Each loss, a scalar, by its recipe name."""


class Objective(nn.Module):
    """The losses of a recipe. What has weight zero is not built.

    Args:
        recipe: The weights.

    Raises:
        MachineError: If weights of a loss network are missing or damaged.
        ConfigError: If ``vgg_weights`` holds no VGG, or ``identity_weights`` no embedding network.
    """

    def __init__(self, recipe: LossRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        alexnet = bool(recipe.looks_through_alexnet)
        self.lpips = LpipsAlexNet(asset("lpips-alexnet")).eval() if alexnet else None
        self.vgg = VggFeatures(Path(recipe.vgg_weights)).eval() if recipe.vgg else None
        self.inner_vgg = inner_features(recipe.vgg_weights) if recipe.inner_vgg else None
        self.embedding = (
            FaceEmbedding(Path(recipe.identity_weights)).eval() if recipe.identity else None
        )
        self.fed = FedLoss().eval() if recipe.fed else None

    def views(
        self,
        output: Tensor,
        damaged: Tensor,
        clean: Tensor,
        *,
        whole: Tensor | None = None,
        phase: Phase = (0, 0),
    ) -> Views:
        """Return what the losses look at.

        Args:
            output: (N, 3, H, W), not clamped.
            damaged: The same shape, in [0, 1].
            clean: The same shape, in [0, 1].
            whole: (N,) bool, which of them show a whole face, aligned; all if not given.
            phase: Where the grid of the perceptual networks begins, see ``views.phase_of``.
        """
        recipe, three = self.recipe, (output, damaged, clean)
        if whole is None:
            whole = torch.ones(len(output), dtype=torch.bool, device=output.device)
        compared = bool(recipe.lpips or recipe.projected)
        every = self._trio(three, phase, compared=compared, judged=recipe.projected)
        inner = None
        compared = bool(recipe.inner or recipe.discriminator_inner)
        if compared or recipe.inner_vgg:
            faces = [inner_face(chosen(images, whole)) for images in three]
            inner = self._trio(faces, phase, compared=compared, judged=recipe.discriminator_inner)
        eyes = None
        if recipe.eyes or recipe.discriminator_eyes:
            faces = [enlarged_eyes(chosen(images, whole)) for images in three]
            eyes = self._trio(faces, phase, compared=True, judged=recipe.discriminator_eyes)
        return Views(every, whole, inner, eyes, phase)

    def _trio(self, three: Sequence[Tensor], phase: Phase, *, compared: bool, judged: bool) -> Trio:
        """Return images with AlexNet's maps of what is compared (not the damaged) or judged."""
        views = []
        for images, mapped in zip(three, (compared, judged, compared), strict=True):
            cut = moved(images, phase)
            maps = self.lpips.maps(cut) if mapped and self.lpips is not None else ()
            views.append(View(images, cut, maps))
        return Trio(*views)

    def parts(self, views: Views, judge: nn.Module | None) -> Parts:
        """Return the generator's losses, each a scalar, unweighted.

        Args:
            views: From this objective.
            judge: The discriminator; needed if a loss has to do with it. It gets no gradient.
        """
        parts: Parts = {}
        output, clean = views.all.output, views.all.clean
        if self.recipe.l1:
            parts["l1"] = F.l1_loss(output.images, clean.images)
        if self.lpips is not None and self.recipe.lpips:
            parts["lpips"] = self.lpips.distance(output.maps, clean.maps).mean()
        if self.vgg is not None:
            with torch.no_grad():
                target = self.vgg(clean.images)
            parts["vgg"] = perceptual_loss(self.vgg(output.images), target)
        if judge is not None:
            parts |= self._judged(views, judge)
        return parts | self._of_faces(views)

    def _of_faces(self, views: Views) -> Parts:
        """Return the losses of whole faces; 0 if there is none."""
        parts: Parts = {}
        for name, region in (("inner", views.inner), ("eyes", views.eyes)):
            if self.lpips is not None and getattr(self.recipe, name) and region is not None:
                distances = self.lpips.distance(region.output.maps, region.clean.maps)
                parts[name] = distances.sum() / max(1, len(distances))
        if self.inner_vgg is not None and views.inner is not None:
            parts["inner_vgg"] = maps_distance(self.inner_vgg, views.inner)
        output, clean = (
            chosen(view.images, views.whole) for view in (views.all.output, views.all.clean)
        )
        if self.embedding is not None:
            parts["identity"] = identity_loss(self.embedding, output, clean)
        if self.fed is not None:
            parts["fed"] = self.fed(output, clean, phase=views.phase)
        return parts

    def _judged(self, views: Views, judge: nn.Module) -> Parts:
        parts: Parts = {}
        damaged, output, clean = self.shown(views)
        with _frozen(judge):
            if self.recipe.features:
                ours, theirs = judge_pair(judge, damaged, output, clean)
                parts["features"] = feature_matching_loss(ours, theirs)
            else:  # the clean images' own judgement is not asked for
                ours = judge(damaged, output)
        if self.recipe.gan:
            parts["gan"] = generator_loss(ours)
        return parts

    def shown(self, views: Views) -> tuple[Judged, Judged, Judged]:
        """Return what the discriminator takes of damaged images, output and clean images.

        The paper's sees the images as they are, a projected one those that AlexNet has seen.
        """
        damaged, output, clean = (
            self._shown(views, name) for name in ("damaged", "output", "clean")
        )
        return damaged, output, clean

    def _shown(self, views: Views, name: str) -> Judged:
        if not self.recipe.projected:
            images: Tensor = getattr(views.all, name).images
            return images
        parts = [
            views.all,
            views.inner if self.recipe.discriminator_inner else None,
            views.eyes if self.recipe.discriminator_eyes else None,
        ]
        seen: list[View] = [getattr(part, name) for part in parts if part is not None]
        return [tensor for view in seen for tensor in (view.cut, *view.maps)]

    def total(self, parts: Parts) -> Tensor:
        """Return the weighted sum."""
        weighted = [getattr(self.recipe, name) * part for name, part in parts.items()]
        return torch.stack(weighted).sum()


def chosen(images: Tensor, which: Tensor) -> Tensor:
    """Return those of (N, 3, H, W) images that (N,) bool says; all of them without a copy."""
    return images if bool(which.all()) else images[which]


def inner_face(faces: Tensor) -> Tensor:
    """Return eyes, nose and mouth of aligned faces, (N, 3, h, w) of (N, 3, S, S)."""
    unit = faces.shape[-1] / 512
    left, top = (round(unit * (edge - INNER_MARGIN)) for edge in TEMPLATE.min(0))
    right, bottom = (round(unit * (edge + INNER_MARGIN)) for edge in TEMPLATE.max(0))
    return faces[:, :, top:bottom, left:right]


def enlarged_eyes(faces: Tensor) -> Tensor:
    """Return both eyes of aligned faces, (N, 3, h, w) of (N, 3, S, S), twice as large."""
    unit, eyes = faces.shape[-1] / 512, TEMPLATE[:2]
    high, wide = EYES_MARGIN
    left, right = (round(unit * x) for x in (eyes[0, 0] - wide, eyes[1, 0] + wide))
    top, bottom = (round(unit * y) for y in (eyes[0, 1] - high, eyes[0, 1] + high))
    strip = faces[:, :, top:bottom, left:right]
    return F.interpolate(strip, scale_factor=EYES_SCALE, mode="bilinear", align_corners=False)


def inner_features(weights: str) -> VggFeatures:
    """Return VGG up to relu3_1: eyelids and irises are a few pixels wide, and coarser maps dear."""
    return VggFeatures(Path(weights), imagenet_normalised=True, depth=3).eval()


def maps_distance(features: VggFeatures, views: Trio) -> Tensor:
    """Return how far the output's maps are from the clean images', summed over them, a scalar.

    A map's distance is the mean absolute difference. If there is no image, it is 0.
    """
    if not len(views.clean.cut):
        return views.output.cut.sum()  # 0, and a step of crops alone can still go backward
    with torch.no_grad():
        target = features(views.clean.cut)
    ours = features(views.output.cut)
    return perceptual_loss(ours, target, layer_weights=[1.0] * len(target))


def judgement_loss(judge: nn.Module, damaged: Judged, output: Judged, clean: Judged) -> Tensor:
    """Return what the discriminator minimises, a scalar.

    Args:
        judge: The discriminator, wrapped or not.
        damaged: What it takes of the damaged images, see ``Objective.shown``.
        output: Of the restored ones, without a gradient.
        clean: Of the clean ones.
    """
    ours, theirs = judge_pair(judge, damaged, output, clean)
    return discriminator_loss(ours, theirs)


def build_judge(recipe: LossRecipe, seed: int) -> Discriminator | ProjectedDiscriminator | None:
    """Return the discriminator with weights drawn from a seed; None if no loss needs it."""
    if not recipe.adversarial:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)  # other numbers than the generator's
        if recipe.discriminator == "projected":
            return ProjectedDiscriminator(
                width=recipe.discriminator_width,
                inner=recipe.discriminator_inner,
                eyes=recipe.discriminator_eyes,
            )
        return Discriminator(width=recipe.discriminator_width)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network, but not into it."""
    network.requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        network.requires_grad_(requires_grad=True)
