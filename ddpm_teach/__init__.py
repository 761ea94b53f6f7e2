"""ddpm_teach: the companion package of a course on diffusion models. Every equation of the course is one line here."""

from ddpm_teach.data import ImageSet, load
from ddpm_teach.denoise import Denoiser, Estimate, Net, clipped, from_eps, guided
from ddpm_teach.devices import pick_device
from ddpm_teach.forward import Gaussian, add_noise, posterior
from ddpm_teach.nets import ContextUNet
from ddpm_teach.sampling import Frame, Step, ddim_step, ddpm_step, every, sample, trailing, walk
from ddpm_teach.schedule import Schedule, from_betas, linear
from ddpm_teach.weights import Pretrained, load_pretrained

__version__ = "0.1.0"

__all__ = [
    "ContextUNet",
    "Denoiser",
    "Estimate",
    "Frame",
    "Gaussian",
    "ImageSet",
    "Net",
    "Pretrained",
    "Schedule",
    "Step",
    "add_noise",
    "clipped",
    "ddim_step",
    "ddpm_step",
    "every",
    "from_betas",
    "from_eps",
    "guided",
    "linear",
    "load",
    "load_pretrained",
    "pick_device",
    "posterior",
    "sample",
    "trailing",
    "walk",
]
