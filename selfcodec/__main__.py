"""The command: `selfcodec`, or `python -m selfcodec` where its script is not on the path."""

from __future__ import annotations

import signal

from selfcodec.cli.interrupts import end_at_once


def main() -> None:
    """Runs the command line, of which imports are the longer part where there is little to do."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as of what a script runs in the background
        signal.signal(signal.SIGINT, end_at_once)
    from selfcodec.cli.main import main as command

    command(prog_name="selfcodec")


if __name__ == "__main__":  # processes that `encode -j` starts import this module as well
    main()
