"""One file a command of `python -m selfcodec.benchmarks`; each is the function `main` of the module of its name."""
