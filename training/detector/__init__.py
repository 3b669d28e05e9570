"""The face detector: data, network, training, evaluation and export."""
