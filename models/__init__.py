"""The self-supervised variational auto-encoder in PyTorch: networks, training and export."""
