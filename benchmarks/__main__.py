"""`python -m selfcodec.benchmarks`: measurements beyond `selfcodec bench`, one command each."""

from __future__ import annotations

import click

from selfcodec.cli.group import SETTINGS, Group

COMMANDS = {
    "demo": "Code a photograph in every mode: a table and a picture.",
    "rates": "Code a data set without loss: promised and real sizes.",
    "looks": "Compare pictures with AVIF's of equal bytes: scores and crops.",
    "ladder": "Code a data set in every mode: what more bytes buy.",
    "roundtrips": "Code a photograph in many sizes and image modes.",
    "kills": "End encoding by signals at random moments: what that leaves.",
    "speed": "Tell where the time goes in coding one image.",
    "scaling": "Time coding by size, from 0.1 to 100 megapixels.",
    "table1": "Tabulate reports of `selfcodec eval` beside the paper's.",
    "efforts": "Set bits against seconds, without loss, by effort.",
    "card": "Record figures in a model's manifest, and write its card.",
    "collect": "Gather runs of `selfcodec bench` in a folder with a README.",
}
"""Every command stands here with a line about it, so that listing them loads none of them."""


class ListedGroup(Group):
    """A group whose list of commands is the one above."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every command with its line."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    "python -m selfcodec.benchmarks",
    cls=ListedGroup,
    context_settings=SETTINGS,
    places={name: f"selfcodec.benchmarks.commands.{name}:main" for name in COMMANDS},
)
def main() -> None:
    """Measure selfcodec: sizes, fidelity, time and memory. `selfcodec bench` compares coders on a data set."""


if __name__ == "__main__":
    main(prog_name=main.name)
