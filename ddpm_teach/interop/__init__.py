"""Our networks inside diffusers, and diffusers' networks under our walk. Lesson 14.

to_pipeline(load_model("sprites")).save_pretrained("sprites-diffusers")  # a pipeline, in diffusers' folder format
model = from_diffusers(pipeline.unet, pipeline.scheduler)  # a Model of any UNet2DModel or UNet2DConditionModel
parts = stable_diffusion(pipeline)  # a StableDiffusionPipeline's parts, for guided, ddim_step and walk

It needs diffusers, the package's extra "interop". Times there count from 0: diffusers' timestep is our t - 1.
"""

from ddpm_teach.storage import how_to_install

try:
    from diffusers import ModelMixin  # noqa: F401 (its loader looks for this where a folder says that a class is)
except ModuleNotFoundError:
    raise ModuleNotFoundError(f"diffusers is not installed; run: {how_to_install('interop', 'diffusers')}") from None

from ddpm_teach.interop.latents import StableDiffusion, stable_diffusion
from ddpm_teach.interop.pipelines import CoursePipeline, CourseUNet, Images, to_pipeline
from ddpm_teach.interop.schedulers import PREDICTIONS, schedule_of, target_of, to_scheduler
from ddpm_teach.interop.unets import DiffusersUNet, from_diffusers

__all__ = [
    "PREDICTIONS",
    "CoursePipeline",
    "CourseUNet",
    "DiffusersUNet",
    "Images",
    "StableDiffusion",
    "from_diffusers",
    "schedule_of",
    "stable_diffusion",
    "target_of",
    "to_pipeline",
    "to_scheduler",
]
