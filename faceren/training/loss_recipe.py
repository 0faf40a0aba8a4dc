"""What a training run minimises, as frozen values: documented, and checked when made."""

from dataclasses import dataclass
from typing import Literal

from faceren.config import check_choice
from faceren.errors import ConfigError
from faceren.training.bounds import HUGE, within

DiscriminatorKind = Literal["patches", "projected"]
LEAST_SIDES = {
    **{"lpips": 36, "inner": 96, "eyes": 160},
    **{"projected": 64, "discriminator_inner": 120, "discriminator_eyes": 208},
}
"""Smallest training images of which AlexNet still has all its maps, pixels, by who asks."""


@dataclass(frozen=True, kw_only=True)
class LossRecipe:
    """Weights of the generator's losses. What has weight zero is not built and costs nothing."""

    l1: float = 0.0
    """Mean absolute difference of pixels."""
    lpips: float = 0.0
    """LPIPS distance on AlexNet; its weights ship with faceren."""
    inner: float = 0.0
    """LPIPS distance of eyes, nose and mouth alone, of samples that show the whole face."""
    eyes: float = 0.0
    """LPIPS distance of the eyes alone, enlarged twice, of samples that show the whole face."""
    vgg: float = 0.0
    """VGG-19 feature distance (paper, eq. 6); needs ``vgg_weights``."""
    inner_vgg: float = 0.0
    """Distance of VGG's finer maps of eyes, nose and mouth, of samples that show the whole face:
    unlike AlexNet it looks at every pixel. Needs ``vgg_weights``."""
    vgg_weights: str = ""
    """File of VGG weights."""
    identity: float = 0.0
    """Distance of the faces' embeddings, of samples that show the whole face; needs
    ``identity_weights``."""
    identity_weights: str = ""
    """TorchScript file of a face embedding network, see ``training.embedding``."""
    fed: float = 0.0
    """Distance of dlib's embeddings, of samples that show the whole face: FED, at fixed places."""
    gan: float = 0.0
    """Least-squares adversarial loss (paper, eq. 4)."""
    features: float = 0.0
    """Distance of the discriminator's feature maps (paper, eq. 5)."""
    discriminator: DiscriminatorKind = "patches"
    """``patches`` of pixels at two scales, as the paper; ``projected`` judges AlexNet's maps and
    learns faster (arXiv:2111.01007)."""
    discriminator_width: int = 64
    """Channels of the discriminator's first layer; of a projected one, of all its layers."""
    discriminator_inner: bool = False
    """Let a projected one judge eyes, nose and mouth by themselves, too, of whole faces."""
    discriminator_eyes: bool = False
    """Let a projected one judge the eyes by themselves, too, enlarged twice, of whole faces."""

    def __post_init__(self) -> None:
        names = (
            *("l1", "lpips", "inner", "eyes", "vgg", "inner_vgg"),
            *("identity", "fed", "gan", "features"),
        )
        within("loss", self, dict.fromkeys(names, (0, HUGE)))
        within("loss", self, {"discriminator_width": (1, 1024)})
        check_choice("loss.discriminator", self.discriminator, DiscriminatorKind)
        for part in ("discriminator_inner", "discriminator_eyes"):
            if getattr(self, part) and not self.projected:
                raise ConfigError(
                    f"loss.{part}: expected loss.gan and loss.discriminator projected"
                )
        if not any(getattr(self, name) for name in names):
            raise ConfigError("loss: expected a weight above 0 for at least one loss, got none")
        if (self.vgg or self.inner_vgg) and not self.vgg_weights:
            raise ConfigError(
                "loss.vgg_weights: the VGG loss needs a file of weights; give one, or set "
                "loss.vgg and loss.inner_vgg to 0 and use loss.lpips and loss.inner"
            )
        if self.identity and not self.identity_weights:
            raise ConfigError(
                "loss.identity_weights: the identity loss needs a face embedding network; give its "
                "TorchScript file, or set loss.identity to 0"
            )

    @property
    def adversarial(self) -> bool:
        """Whether a discriminator is needed."""
        return bool(self.gan or self.features)

    @property
    def projected(self) -> bool:
        """Whether the discriminator judges AlexNet's maps."""
        return self.adversarial and self.discriminator == "projected"

    @property
    def looks_through_alexnet(self) -> list[str]:
        """What in it needs AlexNet's maps of training images."""
        uses = {
            "lpips": self.lpips,
            "inner": self.inner,
            "eyes": self.eyes,
            "projected": self.projected,
            "discriminator_inner": self.discriminator_inner,
            "discriminator_eyes": self.discriminator_eyes,
        }
        return [name for name, used in uses.items() if used]
