"""The mathematics of diffusion, and nothing else: schedules, the forward process, targets, steps, walks, the bound."""
