"""selfcodec info."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from selfcodec.cli.inputs import CODED_FILES, Source, expand, read_coded
from selfcodec.cli.names import named, shown
from selfcodec.cli.options import inputs_argument, json_option
from selfcodec.cli.output import each, finish, print_json, table, tell_skipped
from selfcodec.errors import FormatError, ModelError
from selfcodec.modes import Mode

if TYPE_CHECKING:
    from selfcodec.format.container import Container
    from selfcodec.format.header import Header
    from selfcodec.zoo import Model


def prefixes(container: Container, model: Model, size: int) -> list[dict[str, Any]]:
    """What the file's prefixes decode to, shortest first.

    Args:
        container: the file.
        model: its model.
        size: of the file in bytes.

    Returns:
        for each its mode, level and variables; `end`, the byte of this file after its last section, None for a
        truncated file; and `bytes`, the size of the file that `selfcodec cut` makes of it.
    """
    from selfcodec.decoding import beginnings, shortened
    from selfcodec.format.container import header_bytes, pack, section_bytes

    sections = section_bytes(container)
    start = header_bytes(container) + sections.get("side", 0) + sections.get("metadata", 0)
    rows = []
    for mode, level, sent in beginnings(container, model):
        whole = mode is container.header.mode and level == container.header.level and not container.truncated
        end = None if container.truncated else start + sum(sections[name] for name in sent)
        cut_size = size if whole else len(pack(shortened(container, mode, level, model)))
        rows.append({"mode": str(mode), "level": level or None, "variables": sent, "end": end, "bytes": cut_size})
    return rows


def _header_fields(header: Header, name: str, size: int) -> dict[str, Any]:
    return {
        "input": name,
        "mode": str(header.mode),
        "level": header.level or None,
        "quality": None if header.mode is Mode.STORED else header.quality,
        "seed": header.seed,
        "adapting": header.adapting,
        "stored_as": None,
        "width": header.width,
        "height": header.height,
        "image_mode": header.image_mode,
        "bytes": size,
        "bpp": 8 * size / header.pixels,
        "model_id": header.model_id.hex() or None,
    }


def metadata_sizes(metadata: Mapping[str, Any]) -> dict[str, int]:
    """Bytes by kind of metadata; of a kind that has named parts, such as chunks of a PNG, by part."""
    sizes: Counter[str] = Counter()
    for kind, value in metadata.items():
        parts = [(kind, value)] if isinstance(value, bytes) else [(name.decode(), body) for name, body in value]
        for name, body in parts:
            sizes[name] += len(body)
    return dict(sizes)


def describe_file(data: bytes, name: str) -> dict[str, Any]:
    """All that `info` knows of a file; FormatError where not even its header can be read."""
    from selfcodec.decoding import open_file
    from selfcodec.format.container import header_bytes, section_bytes
    from selfcodec.format.header import peek
    from selfcodec.format.metadata import unpack_metadata
    from selfcodec.images.storing import stored_as
    from selfcodec.zoo import model_by_id

    header = peek(data)
    fields = _header_fields(header, name, len(data))
    stored = header.mode is Mode.STORED
    try:
        model = None if stored else model_by_id(header.model_id)
    except ModelError as error:
        return fields | {"intact": None, "state": f"not checked: {error}"}
    if model is not None:
        fields["model"] = {
            "name": model.spec.name,
            "sha256": model.digest,
            "levels": model.levels,
            "transformation": model.spec.transformation,
        }
    try:
        container = open_file(data, model=model)
        fields |= {"intact": True, "state": "whole"}
    except FormatError as error:
        fields |= {"intact": False, "state": str(error)}
        try:
            container = open_file(data, allow_truncated=True, model=model)
        except FormatError:
            return fields
        fields["state"] += "; what is left is read, but no checksum vouches for it"
    # What is left of a truncated file does not tell how long its section table was.
    fields["header_bytes"] = None if container.truncated else header_bytes(container)
    fields["sections"] = section_bytes(container)
    fields["stored_as"] = stored_as(container.stored)
    try:
        fields["metadata"] = metadata_sizes(unpack_metadata(container.metadata))
    except FormatError as error:
        fields |= {"intact": False, "state": str(error)}
    if model is not None:
        fields["prefixes"] = prefixes(container, model, len(data))
    return fields


def _text(fields: dict[str, Any]) -> str:
    """The human form."""
    model, mode = fields.get("model"), fields["mode"]
    if fields["level"]:
        mode += f", level {fields['level']}"
    if fields["stored_as"]:
        mode += f" as {fields['stored_as']}"
    rows: list[tuple[str, object]] = [
        ("mode", mode),
        ("image", f"{fields['width']}×{fields['height']} {fields['image_mode']}"),
        ("size", f"{fields['bytes']} bytes, {fields['bpp']:.3f} bits per pixel"),
        ("state", shown(fields["state"])),
    ]
    if fields["quality"] is not None:
        rows.insert(1, ("quality", fields["quality"]))
    if fields["seed"] is not None:
        rows.insert(2, ("seed", fields["seed"]))
    if fields["adapting"]:
        rows.insert(1, ("learns", "of the picture while it is coded"))
    if model:
        what = f"K = {model['levels']}, {model['transformation']}" if model["levels"] else "K = 0"
        rows += [("model", f"{model['name']} ({fields['model_id']}), {what}"), ("sha256", model["sha256"])]
    elif fields["model_id"]:
        rows.append(("model", f"{fields['model_id']}, not installed"))
    if fields.get("metadata"):
        rows.append(("metadata", ", ".join(f"{key} {size} bytes" for key, size in fields["metadata"].items())))
    text = f"{named(fields['input'])}\n" + table([(f"  {key}", value) for key, value in rows])
    if "sections" in fields:
        header = {} if fields["header_bytes"] is None else {"header": fields["header_bytes"]}
        sizes = {**header, **fields["sections"]}
        pixels = fields["width"] * fields["height"]
        sections = [("  section", "bytes", "bpp")]
        sections += [(f"  {key}", str(size), f"{8 * size / pixels:.3f}") for key, size in sizes.items()]
        text += "\n\n" + table(sections, right=(1, 2))
    if fields.get("prefixes"):
        ladder = [("  decodes to", "level", "from", "up to byte", "as a file")]
        for row in fields["prefixes"]:
            level, end = (str(row[key] or "-") for key in ("level", "end"))
            ladder.append((f"  {row['mode']}", level, " ".join(row["variables"]), end, str(row["bytes"])))
        text += "\n\n" + table(ladder, right=(1, 3, 4))
    return text


@click.command()
@inputs_argument
@json_option
def info(inputs: tuple[str, ...], as_json: bool) -> None:
    """Show what .sv files hold: header, model, metadata, bytes by section, and what beginnings decode to.

    `up to byte` is how much of the file decode --allow-truncated needs for a mode, `as a file` what selfcodec cut
    makes of it. Nothing is decoded. Where the model is missing, only the header is shown.

    \b
    Example:
      selfcodec info photo.sv
    """
    reports: list[dict[str, Any]] = []

    def action(source: Source) -> None:
        fields = describe_file(read_coded(source), source.path)
        reports.append(fields)
        if not as_json:
            click.echo(("\n" if len(reports) > 1 else "") + _text(fields))

    def failed(source: Source, error: str) -> None:
        reports.append({"input": source.path, "error": error})

    found = expand(inputs, CODED_FILES)
    tell_skipped(found.skipped)
    failures = each(found.sources, lambda source: source.path, action, failed)
    if as_json:
        print_json(reports)
    finish(failures)
