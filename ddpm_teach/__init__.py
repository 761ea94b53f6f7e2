"""ddpm_teach: the companion package of a course on diffusion models. Every equation of the course is one line here.

Everything public can be imported from here; each name is loaded from its home when it is first used, so that
`import ddpm_teach` costs nothing by itself.
"""

from importlib import import_module
from typing import Any

from ddpm_teach.course import first_edition

__version__ = "0.2.0"

_HOMES = {  # module: the public names that live there
    "diffusion.types": "Denoiser Estimate Frame Gaussian Net Step",
    "diffusion.schedule": (
        "SCHEDULES Schedule cosine from_betas linear scaled_linear sqrt_beta straight zero_terminal_snr"
    ),
    "diffusion.vocabularies": "DDPM EDM FLOW_TIME VOCABULARIES Vocabulary",
    "diffusion.forward": "add_noise forward_step noise_from picture_from posterior velocity",
    "diffusion.targets": (
        "EPS FLOW TARGETS Target V X0 clipped from_eps from_flow from_v from_x0 projected snr_weight thresholded"
    ),
    "diffusion.guidance": "gradient guided inpainting score_corrected",
    "diffusion.noise": "draw_noise dropped_out repeated",
    "diffusion.times": "ldm_quad ldm_uniform leading quadratic trailing",
    "diffusion.steps": "ddim_inversion ddim_step ddpm_step dpm_step every heun_step walk",
    "diffusion.bound": ("Bound bound_moves move_variance posterior_log_variance variational_bound variational_weights"),
    "nets": (
        "AttentionUNet Autoencoder Classifier ContextUNet DiffusionTransformer LayerNormUNet SceneReader TextUNet"
        " summary"
    ),
    "nets.text": "CrossAttention TextEncoder",
    "nets.maps": "attention_maps",
    "nets.blocks": "sinusoids",
    "model": "Model",
    "sampler": "Sampler sample",
    "model_files": "load_autoencoder load_model load_pretrained load_weights save_weights",
    "data.images": "ImageSet",
    "data.latents": "encoded",
    "data.mixture": "Mixture",
    "data.palette": "onto palette_of",
    "data.scenes": "scene_boxes scenes_of",
    "data.sets": "load",
    "data.tokens": "Tokenizer",
    "data.folder": "from_folder",
    "hardware.precision": "pick_device self_check",
    "training.options": "RunOptions stratified_times uniform_times",
    "training.state": "TrainState step_generator",
    "training.checkpoint": "load_checkpoint save_checkpoint",
    "training.loop": "TrainLog diffusion_loss train validation_loss",
    "training.presets": "build_net preset",
    "evaluation.metrics": (
        "Measured Moments PrecisionRecall class_accuracy diversity frechet frechet_distance in_parts load_classifier"
        " nearest precision_recall"
    ),
    "evaluation.evaluate": "evaluate",
    "evaluation.asked": "as_asked colors_right",
    "evaluation.reading": "load_reader",
    "evaluation.scenes": "swapped_pairs",
    "evaluation.maps": "mass_inside",
    "storage": "course_path",
}
_ROOMS = {"exercises": "course.exercises", "interop": "interop", "show": "show"}  # modules that lessons name
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted({*_HOME_OF, *_ROOMS} - {"interop"})  # which needs diffusers: `import *` works without


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        value = import_module(f"{__name__}.{_ROOMS[name]}")
    elif name in _HOME_OF:
        value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    else:
        raise first_edition.missing(__name__, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]


first_edition.install()
