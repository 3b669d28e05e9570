"""The face detector's second stage: crops of proposals, network, training and export."""
