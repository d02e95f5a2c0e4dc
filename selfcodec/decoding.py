"""Files to whole images, and to shorter files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError, InputError
from selfcodec.format import sidedata
from selfcodec.format.container import Container, cut, pack, unpack
from selfcodec.format.metadata import apply_metadata
from selfcodec.images import AnyImage, to_image
from selfcodec.images.storing import unpack_stored
from selfcodec.modes import CHOICES, DEFAULT_QUALITY, MAX_TRANSFORMS, Mode, default_level, has_level, sent_variables
from selfcodec.networks.integer import DEFAULT_RUNTIME, Runtime
from selfcodec.settings import whole_number
from selfcodec.streams import GREY_MODES, Plan, decode_tiles
from selfcodec.together import alike
from selfcodec.zoo import Model, model_by_id


def _model_of(model_id: bytes, given: Model | None) -> Model:
    """The file's model: the caller's if it is that one, else the installed one."""
    return given if given is not None and given.id == model_id else model_by_id(model_id)


def open_file(data: bytes, *, allow_truncated: bool = False, model: Model | None = None) -> Container:
    """A file's contents, checked; see `container.unpack` for the errors, `zoo.model_by_id` for a missing model."""

    def variables(model_id: bytes, mode: Mode, level: int) -> tuple[str, ...]:
        own = _model_of(model_id, model)
        if mode not in own.modes:
            raise InputError(f"model {own.spec.name} does not offer mode {mode}")
        return sent_variables(mode, own.levels, level)

    return unpack(data, variables, allow_truncated=allow_truncated)


def truncation(container: Container, upto: Mode | None = None) -> Iterator[str]:
    """One line if a file was cut short, saying what is left and what that is worth."""
    if container.truncated:
        left = " ".join(container.variables)
        shallower = "" if upto is None else f", decoded up to {upto}"
        yield f"cut short or damaged: only ({left}) is there{shallower}; no checksum vouches for it"


def cut_file(
    data: bytes,
    mode: Mode,
    level: int | None = None,
    *,
    allow_truncated: bool = False,
    model: Model | None = None,
) -> bytes:
    """The file that encoding in a shallower mode would have given, up to the last word, without decoding.

    Raises:
        InputError: the mode's variables are no prefix of those in the file.
    """
    container = open_file(data, allow_truncated=allow_truncated, model=model)
    if container.header.mode is Mode.STORED:
        raise InputError("the image is stored whole, there is nothing to cut: encode it again in the mode you want")
    own = _model_of(container.header.model_id, model)
    level = default_level(mode, own.levels) if level is None else whole_number("level", level, 0, MAX_TRANSFORMS)
    return pack(shortened(container, mode, level, own))


def beginnings(container: Container, model: Model) -> list[tuple[Mode, int, tuple[str, ...]]]:
    """Every mode and level that a file of the model can be cut to, and what it sends, shortest first.

    Of those that send the same there is one; levels of y go from the deepest.
    """
    found: dict[tuple[str, ...], tuple[Mode, int]] = {}
    for mode in CHOICES:
        for level in range(model.levels, 0, -1) if has_level(mode) else (0,):
            sent = sent_variables(mode, model.levels, level)
            if container.variables[: len(sent)] == sent:
                found.setdefault(sent, (mode, level))
    return [(mode, level, sent) for sent, (mode, level) in sorted(found.items(), key=lambda item: len(item[0]))]


def shortened(container: Container, mode: Mode, level: int, model: Model) -> Container:
    """What is left of a file of the model in a mode that sends the first of its variables; InputError for others."""
    header, sent = container.header, sent_variables(mode, model.levels, level)
    coded = model.qualities(sent_variables(header.mode, model.levels, header.level), header.quality)
    # Latents that only the shallower mode scales have the model's own grids, which must stay theirs.
    kept = [coded[name] for name in model.tuned(sent) if name in coded]
    try:
        return cut(container, sent, mode, level, min(kept, default=DEFAULT_QUALITY))  # the last one's is the file's
    except InputError as error:
        there = ", ".join(dict.fromkeys(str(own) for own, _, _ in beginnings(container, model)))
        raise InputError(f"{error}: it has {there}; for another mode encode the image again") from error


def decode_file(
    data: bytes,
    *,
    upto: Mode | None = None,
    allow_truncated: bool = False,
    model: Model | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
) -> AnyImage:
    """Decodes a file; a deep image where it has several channels of 16 bits a sample, else one of Pillow's.

    Args:
        data: the file.
        upto: decode as if the file had been cut to this mode, at its default level; a file of that mode, and a stored
            image, which has no parts, come back as they are.
        allow_truncated: take the deepest complete level of a file that was cut short; its checksum vouches for
            nothing then.
        model: a model that the caller has; if the file names another, that one is looked for.
        runtime: how networks run; has no influence on the result.

    Raises:
        FormatError: the file is damaged, or not one.
        ModelError: its model is not installed.
        InputError: `upto` asks for more than is there.
    """
    return decode_files([data], upto=upto, allow_truncated=allow_truncated, model=model, runtime=runtime)[0]


def decode_files(
    files: Sequence[bytes],
    *,
    upto: Mode | None = None,
    allow_truncated: bool = False,
    model: Model | None = None,
    runtime: Runtime = DEFAULT_RUNTIME,
) -> list[AnyImage]:
    """Decodes several files at once, small ones about twice as fast so; see `decode_file`. An error ends them all."""
    opened: list[Container] = []
    images: dict[int, AnyImage] = {}
    models: dict[bytes, tuple[Model, list[int]]] = {}
    for i, data in enumerate(files):
        container = _opened(data, upto, model, allow_truncated=allow_truncated)
        header = container.header
        opened.append(container)
        if header.mode is Mode.STORED:
            images[i] = unpack_stored(container.stored, header.image_mode, header.width, header.height)
            apply_metadata(images[i], container.metadata)
            continue
        model = _model_of(header.model_id, model)  # most probably the next one's, too, and looking for it takes long
        models.setdefault(header.model_id, (model, []))[1].append(i)
    for own, members in models.values():
        containers = [opened[i] for i in members]
        for i, container, planes in zip(members, containers, decode_planes(containers, own, runtime), strict=True):
            mode = container.header.image_mode
            shown = planes[:, :, :1] if mode in GREY_MODES else planes
            images[i] = to_image(mode, shown, alpha_of(container), container.metadata)
    return [images[i] for i in range(len(files))]


def alpha_of(container: Container) -> UInt8 | None:
    """A file's alpha plane (H, W); None where it has none. FormatError where it is damaged."""
    header = container.header
    return sidedata.unpack_alpha(container.side, header.width, header.height) if container.side else None


def _opened(data: bytes, upto: Mode | None, model: Model | None, *, allow_truncated: bool) -> Container:
    """A file's contents, cut to a mode if it holds more."""
    container = open_file(data, allow_truncated=allow_truncated, model=model)
    header = container.header
    if upto is None or header.mode in (upto, Mode.STORED):
        return container
    own = _model_of(header.model_id, model)
    return shortened(container, upto, default_level(upto, own.levels), own)


def decode_planes(containers: Sequence[Container], model: Model, runtime: Runtime = DEFAULT_RUNTIME) -> list[UInt8]:
    """The colour samples (H, W, 3) of files that have this model."""
    groups: list[tuple[tuple[Plan, bool], list[int]]] = []
    for i, container in enumerate(containers):
        header = container.header
        if header.adapting and not model.adapts(header.mode):
            raise FormatError(f"the file says that model {model.spec.name} adapts, which it cannot")
        sent = sent_variables(header.mode, model.levels, header.level)
        whole = not container.truncated and container.variables == sent
        alike(groups, (Plan.of(header, model, container.variables, runtime), whole)).append(i)
    planes: dict[int, UInt8] = {}
    for (plan, whole), members in groups:
        decoded = decode_tiles(plan, [containers[i] for i in members], whole=whole)
        planes.update(zip(members, decoded, strict=True))
    return [planes[i] for i in range(len(containers))]
