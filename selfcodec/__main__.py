"""`python -m selfcodec`: the command line where its script is not on the path."""

from __future__ import annotations

from selfcodec.cli.main import main

if __name__ == "__main__":  # processes that `encode -j` starts import this module as well
    main(prog_name="selfcodec")
