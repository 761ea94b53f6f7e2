"""ddpm_teach: the companion package of a course on diffusion models. Every equation of the course is one line here."""

from ddpm_teach.bound import (
    Bound,
    bound_moves,
    move_variance,
    posterior_log_variance,
    variational_bound,
    variational_weights,
)
from ddpm_teach.data import ImageSet, from_folder, load
from ddpm_teach.denoise import clipped, from_eps, from_v, from_x0, projected, thresholded
from ddpm_teach.devices import pick_device
from ddpm_teach.forward import add_noise, forward_step, noise_from, picture_from, posterior, velocity
from ddpm_teach.guidance import gradient, guided, inpainting, score_corrected
from ddpm_teach.kinds import Denoiser, Estimate, Frame, Gaussian, Net, Step
from ddpm_teach.nets import AttentionUNet, ContextUNet, LayerNormUNet, summary
from ddpm_teach.noise import draw_noise, dropped_out, repeated
from ddpm_teach.sampling import ddim_inversion, ddim_step, ddpm_step, every, heun_step, sample, walk
from ddpm_teach.schedule import Schedule, cosine, from_betas, linear, scaled_linear, sqrt_beta, zero_terminal_snr
from ddpm_teach.times import ldm_quad, ldm_uniform, leading, quadratic, trailing
from ddpm_teach.weights import Pretrained, load_pretrained

__version__ = "0.1.0"

__all__ = [
    "AttentionUNet",
    "Bound",
    "ContextUNet",
    "Denoiser",
    "Estimate",
    "Frame",
    "Gaussian",
    "ImageSet",
    "LayerNormUNet",
    "Net",
    "Pretrained",
    "Schedule",
    "Step",
    "add_noise",
    "bound_moves",
    "clipped",
    "cosine",
    "ddim_inversion",
    "ddim_step",
    "ddpm_step",
    "draw_noise",
    "dropped_out",
    "every",
    "forward_step",
    "from_betas",
    "from_eps",
    "from_folder",
    "from_v",
    "from_x0",
    "gradient",
    "guided",
    "heun_step",
    "inpainting",
    "ldm_quad",
    "ldm_uniform",
    "leading",
    "linear",
    "load",
    "load_pretrained",
    "move_variance",
    "noise_from",
    "pick_device",
    "picture_from",
    "posterior",
    "posterior_log_variance",
    "projected",
    "quadratic",
    "repeated",
    "sample",
    "scaled_linear",
    "score_corrected",
    "sqrt_beta",
    "summary",
    "thresholded",
    "trailing",
    "variational_bound",
    "variational_weights",
    "velocity",
    "walk",
    "zero_terminal_snr",
]
