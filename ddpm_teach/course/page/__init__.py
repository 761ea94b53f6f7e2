"""The page that draws: one HTML file with the sprites' network in it, which runs where the page is opened.

build_page()  # the whole page, as text: `ddpm-teach page` writes it
"""

from ddpm_teach.course.page.build import build_page

__all__ = ["build_page"]
