"""Entropy coding: integer distributions from tables, symbols, ANS streams."""
