"""The expression network: data, architectures, training, evaluation and export."""
