"""Where the results of moving pictures go: rows, events, summaries, plots, annotated video."""
