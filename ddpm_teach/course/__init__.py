"""What makes lessons of the package: exercises that look at what learners write, and the building of notebooks."""
