"""Networks: as data, and as integers that give the same bits on every machine."""
