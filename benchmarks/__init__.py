"""Data sets, peer codecs, metrics and reports that measure the codec."""
