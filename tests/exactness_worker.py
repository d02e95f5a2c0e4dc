"""Decodes files under many execution settings and prints the digests of what comes out; run by test_exactness.

python exactness_worker.py [--float] SETTINGS FILE...

SETTINGS is a JSON list of [threads, batch, positions, window], positions being those that go through a network in a
block. What acts on a whole process (instruction
sets) comes by environment variables. Prints one JSON list: for each setting the SHA-256 of every file's pixels. With
--float no file is decoded: a network whose weights are no dyadic fractions runs without rounding on a fixed input, and
the digests are of its outputs. Such a network is what everybody else's codec runs; it must not give one digest only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

from selfcodec import fixed_point as exact
from selfcodec.arrays import Float32
from selfcodec.decoding import decode_file, open_file
from selfcodec.networks import products
from selfcodec.networks.integer import IntegerGraph, Runtime
from selfcodec.parallel import set_threads
from selfcodec.zoo import model_by_id


def digest_of_file(path: Path, runtime: Runtime) -> str:
    image = decode_file(path.read_bytes(), runtime=runtime)
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()


def unrounded_(x: Float32, shift: int, limit: int) -> Float32:
    """Takes the place of `exact.requantise_`: scales, and neither rounds nor clamps."""
    x *= 2.0**-shift
    return x


def made_real(net: IntegerGraph) -> IntegerGraph:
    """The network with weights and biases of which float32 sums depend on their order."""
    for name, constants in net._constants.items():
        if len(constants) == 3:
            weight, bias, scale = constants
            net._constants[name] = (weight * (0.3 / 127), bias * (0.3 / 127), np.ones_like(scale))
    net._placed.clear()
    return net


def digest_of_output(net: IntegerGraph, batch: int) -> str:
    """Of the float outputs for 20 images of noise, node after node as `IntegerGraph` runs them."""
    rng = np.random.default_rng(0)
    sources = [rng.normal(0, 60, (20, 16, 16, node.channels)).astype(np.float32) for node in net.graph.inputs]
    digest = hashlib.sha256()
    for start in range(0, 20, batch):
        values = {}
        for node, source in zip(net.graph.inputs, sources, strict=True):
            values[node.name] = source[start : start + batch]
        for node in net.graph.nodes:
            if node.name not in values:
                values[node.name] = net._run(node, [values[name] for name in node.inputs])
        digest.update(values[net.graph.output.name].tobytes())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--float", action="store_true")
    parser.add_argument("settings", type=json.loads)
    parser.add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    net = None
    if arguments.float:
        exact.requantise_ = unrounded_
        model = model_by_id(open_file(arguments.files[0].read_bytes()).header.model_id)
        net = made_real(model.nets["p_x_3"])
    results = []
    for threads, batch, positions, window in arguments.settings:
        set_threads(threads)
        products.POSITIONS_AT_ONCE = positions
        runtime = Runtime(batch, window)
        if net is not None:
            results.append([digest_of_output(net, batch)])
        else:
            results.append([digest_of_file(path, runtime) for path in arguments.files])
    print(json.dumps(results))


if __name__ == "__main__":
    main()
