"""`ddpm-teach page`: a page in which the sprites' network draws, as one file."""

from __future__ import annotations

import argparse

from ddpm_teach.cli.options import check_output, file_path
from ddpm_teach.course.page import build_page
from ddpm_teach.show.pictures import check_ending
from ddpm_teach.storage import write_bytes

EPILOG = """The page works from a folder, a stick or any web server, offline. It has the network in it,
14 MB in all, and draws in the browser: Chrome or Edge 109, Firefox 114, Safari 16.4, or newer.

examples:
  ddpm-teach page sprites.html"""


def add_options(command: argparse.ArgumentParser) -> None:
    """OUT."""
    command.epilog = EPILOG
    command.add_argument("out", type=file_path, metavar="OUT", help="the file to write, such as sprites.html")


def run(args: argparse.Namespace) -> int:
    """Writes the page, where no file is yet."""
    check_output("OUT", args.out)
    check_ending("OUT", args.out, [".html", ".htm"])
    if args.out.exists():
        raise ValueError(f"OUT: {args.out} exists already; remove it, or choose another name")
    page = build_page().encode()
    write_bytes(args.out, page)
    print(f"{args.out}: {len(page) / 1e6:.1f} MB, one file for any browser, with or without a network")
    return 0
