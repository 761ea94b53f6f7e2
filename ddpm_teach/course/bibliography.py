"""What the lessons cite: papers, books, articles, courses and code, each once, in order of year.

A lesson names a source by its key and adds the place: ``BIBLIOGRAPHY["ddpm"].cite("eq. 4")`` is Markdown with the
link in it. So an address stands in one place and can be checked there. The year is that of the first public version
(arXiv's, not the conference's); an arXiv address has no version.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BIBLIOGRAPHY", "Source"]


class Source(NamedTuple):
    """One source; `authors` as it is cited in running text."""

    key: str
    authors: str
    title: str
    year: int
    url: str

    def cite(self, place: str = "") -> str:
        """Returns a Markdown link such as ``[Ho et al. 2020, eq. 4](https://arxiv.org/abs/2006.11239)``."""
        return f"[{self.authors} {self.year}{', ' if place else ''}{place}]({self.url})"


# year | key | authors | title | an arXiv number, or an address (a backslash continues a row)
_TABLE = """
2011 | denoising_score_matching | Vincent | A Connection Between Score Matching and Denoising Autoencoders | \
https://www.iro.umontreal.ca/~vincentp/Publications/smdae_techreport.pdf
2011 | tweedie | Efron | Tweedie's Formula and Selection Bias | https://doi.org/10.1198/jasa.2011.tm11181
2013 | vae | Kingma and Welling | Auto-Encoding Variational Bayes | 1312.6114
2015 | unet | Ronneberger et al. | U-Net: Convolutional Networks for Biomedical Image Segmentation | 1505.04597
2015 | bpe | Sennrich et al. | Neural Machine Translation of Rare Words with Subword Units | 1508.07909
2017 | transformer | Vaswani et al. | Attention Is All You Need | 1706.03762
2017 | fid | Heusel et al. | GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium | \
1706.08500
2017 | film | Perez et al. | FiLM: Visual Reasoning with a General Conditioning Layer | 1709.07871
2018 | kid | Bińkowski et al. | Demystifying MMD GANs | 1801.01401
2018 | group_norm | Wu and He | Group Normalization | 1803.08494
2018 | film_article | Dumoulin et al. | Feature-wise Transformations | \
https://distill.pub/2018/feature-wise-transformations/
2019 | ncsn | Song and Ermon | Generative Modeling by Estimating Gradients of the Data Distribution | 1907.05600
2019 | precision_recall | Kynkäänniemi et al. | Improved Precision and Recall Metric for Assessing Generative Models | \
1904.06991
2020 | ddpm | Ho et al. | Denoising Diffusion Probabilistic Models | 2006.11239
2020 | ddim | Song et al. | Denoising Diffusion Implicit Models | 2010.02502
2020 | score_sde | Song et al. | Score-Based Generative Modeling through Stochastic Differential Equations | 2011.13456
2021 | improved_ddpm | Nichol and Dhariwal | Improved Denoising Diffusion Probabilistic Models | 2102.09672
2021 | clean_fid | Parmar et al. | On Aliased Resizing and Surprising Subtleties in GAN Evaluation | 2104.11222
2021 | score_blog | Song | Generative Modeling by Estimating Gradients of the Data Distribution | \
https://yang-song.net/blog/2021/score/
2021 | classifier_guidance | Dhariwal and Nichol | Diffusion Models Beat GANs on Image Synthesis | 2105.05233
2021 | clip | Radford et al. | Learning Transferable Visual Models From Natural Language Supervision | 2103.00020
2021 | vdm | Kingma et al. | Variational Diffusion Models | 2107.00630
2021 | weng | Weng | What are Diffusion Models? | https://lilianweng.github.io/posts/2021-07-11-diffusion-models/
2021 | sdedit | Meng et al. | SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations | \
2108.01073
2021 | labml | labml.ai | DDPM, annotated line by line | https://nn.labml.ai/diffusion/ddpm/index.html
2021 | ldm | Rombach et al. | High-Resolution Image Synthesis with Latent Diffusion Models | 2112.10752
2022 | repaint | Lugmayr et al. | RePaint: Inpainting using Denoising Diffusion Probabilistic Models | 2201.09865
2022 | progressive | Salimans and Ho | Progressive Distillation for Fast Sampling of Diffusion Models | 2202.00512
2022 | imagen | Saharia et al. | Photorealistic Text-to-Image Diffusion Models with Deep Language Understanding | \
2205.11487
2022 | guidance_blog | Dieleman | Guidance: a cheat code for diffusion models | \
https://sander.ai/2022/05/26/guidance.html
2022 | edm | Karras et al. | Elucidating the Design Space of Diffusion-Based Generative Models | 2206.00364
2022 | annotated | Rogge and Rasul | The Annotated Diffusion Model | https://huggingface.co/blog/annotated-diffusion
2022 | cfg | Ho and Salimans | Classifier-Free Diffusion Guidance | 2207.12598
2022 | prompt_to_prompt | Hertz et al. | Prompt-to-Prompt Image Editing with Cross-Attention Control | 2208.01626
2022 | luo | Luo | Understanding Diffusion Models: A Unified Perspective | 2208.11970
2022 | alammar | Alammar | The Illustrated Stable Diffusion | https://jalammar.github.io/illustrated-stable-diffusion/
2022 | daam | Tang et al. | What the DAAM: Interpreting Stable Diffusion Using Cross Attention | 2210.04885
2022 | dpm_solver | Lu et al. | DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models | \
2211.01095
2022 | null_text | Mokady et al. | Null-text Inversion for Editing Real Images using Guided Diffusion Models | \
2211.09794
2022 | dit | Peebles and Xie | Scalable Diffusion Models with Transformers | 2212.09748
2022 | hf_course | Hugging Face | Diffusion Models Course | https://huggingface.co/learn/diffusion-course
2023 | attend_and_excite | Chefer et al. | Attend-and-Excite: Attention-Based Semantic Guidance for Text-to-Image \
Diffusion Models | 2301.13826
2023 | extracting | Carlini et al. | Extracting Training Data from Diffusion Models | 2301.13188
2023 | min_snr | Hang et al. | Efficient Diffusion Training via Min-SNR Weighting Strategy | 2303.09556
2023 | zero_snr | Lin et al. | Common Diffusion Noise Schedules and Sample Steps are Flawed | 2305.08891
2023 | perspectives | Dieleman | Perspectives on diffusion | https://sander.ai/2023/07/20/perspectives.html
2023 | udl | Prince | Understanding Deep Learning (chapter 18) | https://udlbook.github.io/udlbook/
2023 | edm2 | Karras et al. | Analyzing and Improving the Training Dynamics of Diffusion Models | 2312.02696
2024 | smalldiffusion | Yuan | Diffusion models from scratch | https://www.chenyang.co/diffusion.html
2024 | chan | Chan | Tutorial on Diffusion Models for Imaging and Vision | 2403.18103
2024 | interval | Kynkäänniemi et al. | Applying Guidance in a Limited Interval Improves Sample and Distribution \
Quality in Diffusion Models | 2404.07724
2024 | autoguidance | Karras et al. | Guiding a Diffusion Model with a Bad Version of Itself | 2406.02507
2024 | step_by_step | Nakkiran et al. | Step-by-Step Diffusion: An Elementary Tutorial | 2406.08929
2024 | schedules_blog | Dieleman | Noise schedules considered harmful | \
https://sander.ai/2024/06/14/noise-schedules.html
2024 | predictor_corrector | Bradley and Nakkiran | Classifier-Free Guidance is a Predictor-Corrector | 2408.09000
2024 | spectral | Dieleman | Diffusion is spectral autoregression | \
https://sander.ai/2024/09/02/spectral-autoregression.html
2025 | latents_blog | Dieleman | Generative modelling in latent space | https://sander.ai/2025/04/15/latents.html
2026 | cmu | He | CMU 10-799: Diffusion & Flow Matching | https://kellyyutonghe.github.io/10799S26/
"""


def _sources() -> dict[str, Source]:
    """Returns the rows of the table by key."""
    result: dict[str, Source] = {}
    for row in _TABLE.strip().splitlines():
        year, key, authors, title, place = (cell.strip() for cell in row.split(" | "))
        if key in result:
            raise ValueError(f"the bibliography has two sources of the key {key!r}; rename one")
        url = place if place.startswith("https://") else f"https://arxiv.org/abs/{place}"
        result[key] = Source(key, authors, title, int(year), url)
    return result


BIBLIOGRAPHY: dict[str, Source] = _sources()
