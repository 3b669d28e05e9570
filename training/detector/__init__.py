"""The face detector's first stage: labels, network, training and export."""
