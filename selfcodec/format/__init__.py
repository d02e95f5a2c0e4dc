"""The `.sv` file: everything around the entropy-coded words (docs/format.md)."""
