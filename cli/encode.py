"""selfcodec encode."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import click

from selfcodec.cli.encoding import Options
from selfcodec.cli.files import coded_suffix, plan, refuse_image_name
from selfcodec.cli.inputs import IMAGES, is_piped
from selfcodec.cli.names import STDIO, is_shard, named, shown
from selfcodec.cli.options import (
    MODES,
    QUALITY,
    force_option,
    inputs_argument,
    json_option,
    level_option,
    output_option,
    positive_option,
    preserve_option,
    skip_existing_option,
)
from selfcodec.cli.output import complain, finish, print_json, progress, tell_skipped
from selfcodec.cli.outputs import split_done
from selfcodec.cli.workers import outcomes
from selfcodec.errors import InputError, warn_of
from selfcodec.modes import MAX_EFFORT, MAX_SEED, Mode


@click.command()
@inputs_argument
@output_option()
@click.option("-m", "--mode", type=click.Choice(MODES), default="lossless", show_default=True, help="What to send.")
@level_option
@click.option("-q", "--quality", type=QUALITY, help="Fineness of the latents' grids.  [default: 50]")
@click.option("--model", metavar="NAME|PATH", help="Name or folder of a model.")
@click.option(
    "--sample",
    "seed",
    metavar="SEED",
    type=click.IntRange(0, MAX_SEED),
    help="Let decoders draw what is not sent, from this seed.",
)
@positive_option("bpp", "Highest quality of at most so many bits a pixel.")
@click.option("--bytes", "size", type=click.IntRange(1), help="Highest quality of at most so many bytes.")
@positive_option("psnr", "Lowest quality of at least so many dB.")
@click.option(
    "--effort",
    type=click.IntRange(0, MAX_EFFORT),
    help="Time for better latents of a lossy photograph; lossless, 0 and 1: faster, larger.  [default: 0; lossless: 2]",
)
@click.option("--first", is_flag=True, help="Take the first picture of an animation or of several pages.")
@click.option("--strip", is_flag=True, help="Leave ICC, EXIF and XMP out.")
@click.option("--no-verify", is_flag=True, help="Do not decode the result to check it.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@force_option
@skip_existing_option
@preserve_option
@json_option
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print bits by variable and names of skipped files as well.")
def encode(
    inputs: tuple[str, ...],
    output: str | None,
    mode: str,
    level: int | None,
    quality: int | None,
    model: str | None,
    seed: int | None,
    bpp: float | None,
    size: int | None,
    psnr: float | None,
    effort: int | None,
    first: bool,
    strip: bool,
    no_verify: bool,
    jobs: int,
    force: bool,
    skip_existing: bool,
    preserve: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Code images as .sv files.

    IN are image files, folders (every image below them by its content, but for hidden ones), or - for standard input;
    or files of many pictures: tar files, whose pictures become .sv files in a.sv.tar and whose other files are copied,
    and arrays (.npy) of uint8, (N, H, W) or (N, H, W, 3). Without -o, each .sv file goes beside its image: a.sv for
    a.png, but a.png.sv and a.jpg.sv for a.png and a.jpg. No output can be read by more people than its image or the
    file that it replaces, unless --preserve gives it its image's permissions.

    \b
    Examples:
      selfcodec encode photo.png -m cr -q 30 -o photo.sv
      selfcodec encode photo.png -m rs2 --bpp 0.5
      selfcodec encode photos/ -o coded/ -j 4
      selfcodec encode shard-000.tar -o shard-000.sv.tar
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other")
    if quiet:
        logging.getLogger("selfcodec").setLevel(logging.WARNING)
    if force and skip_existing:
        raise click.UsageError("--force and --skip-existing exclude each other")
    if mode == str(Mode.LOSSLESS) and seed is not None:
        raise click.UsageError("--sample is for lossy modes: choose one with -m")
    from selfcodec.rate_control import Target, choose_settings

    try:
        target = Target(bpp, size, psnr)
        settings = choose_settings(mode, target, level=level, quality=quality, seed=seed, effort=effort)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    options = Options(
        settings,
        target,
        model,
        strip=strip,
        verify=not no_verify,
        force=force,
        preserve=preserve,
        first=first,
    )
    refuse_image_name(output)
    planned = plan(inputs, output, IMAGES, coded_suffix)
    if as_json and planned.jobs[0].target == STDIO:
        raise click.UsageError("--json and the coded file cannot both go to standard output")
    todo, done = split_done(planned.jobs) if skip_existing else (planned.jobs, ())
    if not quiet:
        tell_skipped(planned.skipped + done, verbose=verbose)
    refining = _check_settings(options, effort, quiet=quiet)

    reports, failures = [], 0
    parts = refining or any(is_shard(job.source.path) for job in todo)
    with progress(len(todo), "encoding", quiet=quiet, parts=parts) as advance:
        if min(jobs, len(todo)) == 1:
            options = replace(options, report=advance.part)
        for outcome in outcomes(todo, options, jobs) if todo else ():
            advance()
            reports.append(outcome.report)
            for warning in outcome.warnings:
                complain(warning, "warning")
            if outcome.error:
                complain(outcome.error)
                failures += 1
            elif not (quiet or as_json or is_piped(outcome.report["output"])):
                click.echo(_summary(outcome.report, verbose))
    if as_json:
        print_json(reports)
    finish(failures)


def _check_settings(options: Options, effort: int | None, *, quiet: bool) -> bool:
    """Warns of settings that change nothing.

    Args:
        options: of the command.
        effort: the one that was asked for, if any.
        quiet: print no warnings.

    Returns:
        whether latents will be refined, which is what single files report.

    Raises:
        InputError, ModelError: something is wrong with the model or the settings, whatever the images.
    """
    from selfcodec.advice import advice
    from selfcodec.refining import can_refine
    from selfcodec.zoo import model_for

    settings, target = options.settings, options.target
    model = model_for(settings, options.model)
    lines = list(advice(settings, target, model, effort, named=options.model is not None))
    warn_of(() if quiet else lines)
    sent, _ = settings.resolved(model.levels)
    return can_refine(model, sent) and bool(settings.effort)


def _summary(report: dict[str, Any], verbose: bool) -> str:
    """A result in one line, or with every variable's bits."""
    from selfcodec.modes import DEFAULT_QUALITY

    if "pictures" in report:
        return _shard_summary(report, verbose)
    size = f"{report['width']}×{report['height']}, {report['bytes']} bytes, {report['bpp']:.3f} bpp"
    mode = report["mode"]
    if report["level"] is not None:
        mode += f" level {report['level']}"
    if report["stored_reason"]:
        mode += f" ({report['stored_reason']})"
    line = f"{named(report['input'])} -> {shown(report['output'])}: {mode}, {size}"
    if report["bytes"] > report["source_bytes"]:
        line += f", larger than its source ({report['source_bytes']} bytes)"
    if report["quality"] not in (None, DEFAULT_QUALITY):
        line += f", quality {report['quality']}"
    if "psnr" in report:
        line += f", {report['psnr']:.2f} dB" if report["psnr"] is not None else ", exact"
    if verbose:
        line += f", {report['seconds']:.2f} s"
        line += "".join(f"\n  {name}: {bits / 8:.1f} bytes" for name, bits in report["bits_by_variable"].items())
    return line


def _shard_summary(report: dict[str, Any], verbose: bool) -> str:
    """The same of a file of many pictures."""
    count = f"{report['pictures']} picture{'s'[: report['pictures'] > 1]}"
    count += f", {report['stored']} of them stored" if report["stored"] else ""
    line = f"{named(report['input'])} -> {shown(report['output'])}: {report['mode']}, {count}, "
    line += f"{report['bytes']} bytes of pictures, {report['file_bytes']} with the tar file, {report['bpp']:.3f} bpp"
    return line + (f", {report['seconds']:.2f} s" if verbose else "")
