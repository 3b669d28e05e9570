"""What the trainings share: options, run folders, the training loop, export checks, plots."""
