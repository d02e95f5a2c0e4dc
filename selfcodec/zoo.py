"""Trained models: where they are, what they hold, and how a file names the one it needs.

A model is a folder with `weights.safetensors`, `manifest.json` and `CARD.md`. The weights file is complete in itself:
its metadata holds the specification, its tensors the integers. The model's id is the SHA-256 of that file, checked
before anything in it is parsed; a coded file carries the first four bytes of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from selfcodec.arrays import Integers
from selfcodec.errors import InputError, ModelError
from selfcodec.likelihoods.families import build_likelihood
from selfcodec.likelihoods.posterior import Posterior
from selfcodec.modes import CHOICES, LOSSY_MODES, Mode, grid_qualities, has_level, sent_variables, tuned_latents
from selfcodec.networks.graph import Graph
from selfcodec.networks.integer import IntegerGraph
from selfcodec.networks.windows import Network
from selfcodec.schedule import build_schedule, padding_multiple
from selfcodec.settings import Settings
from selfcodec.spec import Spec

WEIGHTS, MANIFEST, CARD = "weights.safetensors", "manifest.json", "CARD.md"
DEFAULT_MODELS = dict.fromkeys(LOSSY_MODES, ("photo-lossy",)) | {Mode.LOSSLESS: ("photo-fast", "photo-fast", "photo")}
"""These code an image where no model is named, by mode: with effort 0, 1 and so on, the last with all above, too."""
BOX = Path(__file__).parent / "models" / "zoo"
"""The models in the box, by name."""
METADATA_KEY = "selfcodec"
"""The weights file's metadata have this one entry: JSON with `spec` and `graphs`."""
MAX_WEIGHTS_BYTES = 1 << 30


class Model:
    """An exported model, ready to code."""

    def __init__(self, data: bytes, where: str = "model") -> None:
        self.digest = hashlib.sha256(data).hexdigest()
        self.where = where
        try:
            self._read(data)
        except ModelError as error:
            raise ModelError(f"{where}: {error}") from error
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{where}: not a model's weights ({type(error).__name__})") from error

    def _read(self, data: bytes) -> None:
        """Sets specification, schedule, networks and families; anything that damaged bytes lead to is raised."""
        contents, tensors = read_contents(data), load_safetensors(data)
        self.spec = Spec.from_json(contents["spec"])
        self.steps = build_schedule(self.spec.shape)
        self.nets = {name: _network(name, graph, tensors) for name, graph in contents["graphs"].items()}
        networks = {name: Network(net) for name, net in self.nets.items()}
        variables = self.spec.variables
        self.likelihoods = {step.name: build_likelihood(step, variables[step.name], networks) for step in self.steps}
        try:
            inferred = (step for step in self.steps if step.inferred_from is not None)
            self.posteriors = {step.name: Posterior(step, networks) for step in inferred}
        except KeyError as error:
            raise ModelError(f"network {error.args[0]!r} is missing") from error
        used = {name for s in self.steps for name in self.likelihoods[s.name].networks(s, variables[s.name])}
        used |= {name for s in self.steps if s.name in self.posteriors for name in Posterior.networks(s)}
        if unused := sorted(self.nets.keys() - used):
            raise ModelError(f"network {unused[0]!r} belongs to no variable")

    @property
    def id(self) -> bytes:
        """What a coded file carries: the first four bytes of the weights file's SHA-256."""
        return bytes.fromhex(self.digest)[:4]

    @property
    def levels(self) -> int:
        return self.spec.shape.levels

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What the model offers, from the least sent to the most: cg and cr need a y, and what is sent can be coded."""
        offered = (mode for mode in CHOICES if self.levels or not has_level(mode))
        return tuple(mode for mode in offered if all(self.likelihoods[name].codable for name in self._least(mode)))

    def check_offers(self, mode: Mode) -> None:
        """InputError where the model does not offer a mode."""
        if mode not in self.modes:
            offered, one = ", ".join(map(str, self.modes)), Mode.RS2 if Mode.RS2 in self.modes else self.modes[-1]
            raise InputError(
                f'model {self.spec.name} does not offer mode {mode}, but {offered}: add -m {one}, or mode="{one}" in'
                " Python"
            )

    def tuned(self, sent: tuple[str, ...]) -> tuple[str, ...]:
        """The latents among those that are sent whose grids the quality chooses.

        Where networks see the quality, it is that of z; u, which takes few bytes, has one grid.
        """
        names = tuned_latents(sent, self.levels)
        return tuple(name for name in names if name != "u") if self.spec.planes else names

    def qualities(self, sent: tuple[str, ...], quality: int) -> dict[str, int]:
        """Those of the tuned latents' grids, by name, in a file of this quality."""
        return grid_qualities(self.tuned(sent), quality, self.levels)

    def adapts(self, mode: Mode) -> bool:
        """Whether a mode sends x, and the model can code it with what is learned of it on the way."""
        return mode is Mode.LOSSLESS and self.likelihoods[self.steps[-1].name].adapts

    def plane(self, quality: int) -> int:
        """A quality of 1..100 as networks see it, in 2**-6; 0 where they see none."""
        return self.spec.planes[quality - 1] if self.spec.planes else 0

    def _least(self, mode: Mode) -> tuple[str, ...]:
        """What a mode sends at least."""
        return sent_variables(mode, self.levels, self.levels if has_level(mode) else 0)

    @cached_property
    def padding(self) -> int:
        return padding_multiple(self.steps)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(net.parameters for net in self.nets.values())


def _network(name: str, graph: Mapping[str, Any], tensors: Mapping[str, Integers]) -> IntegerGraph:
    prefix = f"{name}/"
    own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    net = IntegerGraph(Graph.from_json(graph["nodes"]), graph["formats"], own)
    if net.bounds != graph["bounds"]:
        raise ModelError(f"network {name!r}: the overflow proof is not that of its weights")
    return net


def read_contents(data: bytes) -> dict[str, Any]:
    """What a weights file says besides its tensors: `spec` and `graphs`; ValueError or KeyError for other files."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    contents: dict[str, Any] = json.loads(header["__metadata__"][METADATA_KEY])
    return contents


def pack_model(spec: Spec, graphs: Mapping[str, Any], tensors: Mapping[str, Integers]) -> bytes:
    """A weights file; `graphs` holds for each network its `nodes`, `formats` and `bounds`.

    Equal contents give equal bytes: safetensors sorts tensors, but writes several metadata entries in any order.
    """
    contents = json.dumps({"spec": asdict(spec), "graphs": graphs}, sort_keys=True)
    return bytes(save_safetensors(dict(tensors), {METADATA_KEY: contents}))


def model_folders() -> list[Path]:
    """Where models are looked for: each folder in `$SELFCODEC_MODELS`, then the models in the box."""
    own = [Path(p) for p in os.environ.get("SELFCODEC_MODELS", "").split(os.pathsep) if p]
    return [*own, BOX]


def _wrong_folders() -> str:
    """What of `$SELFCODEC_MODELS` holds no models, as the end of an error; nothing where all is well."""
    lines = []
    for folder in model_folders()[:-1]:
        if os.path.isfile(folder / WEIGHTS):
            lines.append(f"{folder} is a model itself: name its parent, {folder.resolve().parent}")
        elif not os.path.isdir(folder):
            lines.append(f"{folder} is no folder" if os.path.exists(folder) else f"{folder} does not exist")
    return "; of $SELFCODEC_MODELS " + ", and ".join(lines) if lines else ""


def available_models() -> dict[str, Path]:
    """Name to folder; an earlier folder's model hides a later one's of the same name."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        for weights in sorted(folder.glob(f"*/{WEIGHTS}")):
            found.setdefault(weights.parent.name, weights.parent)
    return found


def is_boxed(model: Model) -> bool:
    """Whether a model is the one of its name in the box."""
    try:
        return read_manifest(BOX / Path(model.where).parent.name).get("sha256") == model.digest
    except ModelError:
        return False


@lru_cache(maxsize=4)
def _load(path: Path, modified: int) -> Model:
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise ModelError(f"{path}: larger than {MAX_WEIGHTS_BYTES} bytes, no selfcodec model")
    data = path.read_bytes()
    manifest = read_manifest(path.parent)
    if manifest.get("sha256") != hashlib.sha256(data).hexdigest():
        raise ModelError(f"{path}: does not match the SHA-256 in {MANIFEST}; install the model again")
    return Model(data, str(path))


def read_manifest(folder: Path) -> dict[str, Any]:
    """A model's manifest; ModelError where it is missing or not JSON."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / MANIFEST}: cannot be read ({type(error).__name__})") from error
    if not isinstance(manifest, dict):
        raise ModelError(f"{folder / MANIFEST}: is not a model's manifest")
    return manifest


def default_model(mode: Mode, effort: int) -> str:
    """The name of the model that codes images in a mode with an effort where none is named."""
    models = DEFAULT_MODELS[mode]
    return models[min(effort, len(models) - 1)]


def model_for(settings: Settings, name_or_path: str | os.PathLike[str] | None = None) -> Model:
    """What codes with these settings where that model is named, or for None none; see `find_model`."""
    return find_model(name_or_path, default_model(settings.mode, settings.effort))


def find_model(
    name_or_path: str | os.PathLike[str] | None = None, default: str = DEFAULT_MODELS[Mode.LOSSLESS][-1]
) -> Model:
    """A model by name or by the path of its folder; for None the default.

    Raises:
        InputError: there is no such model; lists those there are. Or that is no name at all.
        ModelError: the model is damaged.
    """
    if not isinstance(name_or_path, str | os.PathLike | None):
        raise InputError(f"a model is named by a text or a path, not by {name_or_path!r}")
    name = default if name_or_path is None else os.fspath(name_or_path)
    by_path = name and (os.sep in name or (Path(name) / WEIGHTS).is_file())
    folder = Path(name) if by_path else available_models().get(name)
    if folder is None or not (folder / WEIGHTS).is_file():
        known = ", ".join(available_models()) or "none"
        remedy = _wrong_folders() or "; add folders of models to $SELFCODEC_MODELS"
        raise InputError(f"no model {name!r}; there are: {known}{remedy}")
    weights = folder / WEIGHTS
    return _load(weights.resolve(), weights.stat().st_mtime_ns)


def model_by_id(model_id: bytes) -> Model:
    """The model that a file was written with, whatever its name; ModelError where it is not installed."""
    for weights in (path for folder in model_folders() for path in sorted(folder.glob(f"*/{WEIGHTS}"))):
        try:
            digest = str(read_manifest(weights.parent).get("sha256", ""))
        except ModelError:
            continue  # a damaged neighbour
        if digest.startswith(model_id.hex()):
            return find_model(str(weights.parent.resolve()))
    raise ModelError(
        f"the file needs model {model_id.hex()}, which is not installed: put its folder below one named in"
        f" $SELFCODEC_MODELS{_wrong_folders()}"
    )
