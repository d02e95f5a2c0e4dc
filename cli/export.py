"""selfcodec export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from selfcodec.cli.options import folder_option, force_option
from selfcodec.errors import InputError, warn_of


@click.command()
@click.argument("checkpoint", metavar="CKPT", type=click.Path(path_type=Path))
@folder_option("output", "Folder of the model; its name is the model's.", "-o", required=True)
@folder_option("data", "Root of the data sets, or a folder of images.  [default: $SELFCODEC_DATA]")
@click.option("--note", metavar="TEXT", help="For the model's card: how it was trained, where the recipe does not say.")
@click.option("--machine", metavar="TEXT", help="For tables: where it was trained.")
@click.option("--search", is_flag=True, help="Look for formats that cost less, on training images: minutes.")
@force_option
def export(
    checkpoint: Path, output: Path, data: Path | None, note: str | None, machine: str | None, search: bool, force: bool
) -> None:
    """Make a model for coding from a training run: its folder, or its checkpoint.pt.

    Turns the networks into integers and proves that no sum in them can overflow. With the training data at hand, also
    measures what rounding costs, on images that were held out, and with --search makes that less; some models need the
    data to be calibrated.

    \b
    Example:
      selfcodec export runs/mine -o my-models/mine
    """
    from selfcodec.models.calibration import rounding_loss, search_formats
    from selfcodec.models.checkpoint import CHECKPOINT, load_trained
    from selfcodec.models.data import ImageSet
    from selfcodec.models.export import export_model, write_model
    from selfcodec.models.image_sets import calibration_sets
    from selfcodec.models.objectives.choice import build_objective
    from selfcodec.zoo import BOX, MANIFEST, WEIGHTS, read_manifest

    if (output / WEIGHTS).exists() and not force:
        raise InputError(f"{output / WEIGHTS}: exists; --force overwrites it")
    name = output.resolve().name
    if (BOX / name / WEIGHTS).exists() and output.resolve() != (BOX / name).resolve():
        warn_of([f"a model in the box is called {name}, too: below a folder in $SELFCODEC_MODELS this one hides it"])
    recipe, model, state = load_trained(checkpoint / CHECKPOINT if checkpoint.is_dir() else checkpoint)
    recipe = replace(recipe, name=name)
    calibration, held_out = calibration_sets(recipe, data)
    objective = build_objective(recipe.train.objective)
    if search:
        if not isinstance(calibration, ImageSet):
            raise InputError("--search needs the training data, of images of one size; --data says where it is")
        search_formats(objective, model, calibration)
    weights = export_model(recipe, model, calibration)
    training: dict[str, Any] = {"steps": state["step"], "minutes": round(state["elapsed"] / 60, 1)}
    training |= {key: text for key, text in (("machine", machine), ("note", note)) if text is not None}
    unit, loss = objective.unit, None if held_out is None else rounding_loss(objective, model, held_out)
    if loss is not None and held_out is not None:
        training["held_out"] = {"images": len(held_out), f"{unit}_float": loss[0], f"{unit}_integer": loss[1]}
    exported = write_model(output, weights, recipe, training, force=force)
    largest = read_manifest(output)["largest_sum"]
    click.echo(f"{output / WEIGHTS}: {len(weights)} bytes, {exported.parameters} parameters, id {exported.id.hex()}")
    click.echo(f"largest sum: {largest['bound']} of {largest['of']}, in {largest['node']}; see {output / MANIFEST}")
    if loss is None:
        click.echo("rounding: not measured, the training data is not there; --data says where it is")
    else:
        change = f"{loss[1] - loss[0]:+.4f} {unit}, {100 * (loss[1] / loss[0] - 1):+.2f} %"
        click.echo(f"rounding: {loss[0]:.4f} {unit} in floating point, {loss[1]:.4f} in integers ({change})")
