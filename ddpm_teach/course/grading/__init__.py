"""What a class handed in: run apart from everything else, graded, and summed up on a page."""
