"""Families of distributions for training: the floating-point twins of `selfcodec.likelihoods`."""
