"""Recipes in their old form, flat tables `model` and `train` without kinds, brought into the form of today.

Models' manifests and checkpoints keep the recipe that they were trained by as it was then, and are never rewritten.
"""

from __future__ import annotations

from typing import Any

Table = dict[str, Any]

_ADDED_LATER: dict[str, Table] = {
    "model": {"context": False, "finest": 0, "folds_q": 1, "blocks_head": 1},
    "train": {"patch": 32, "optimizer": "adamax", "start": "", "networks": "all", "augment": False},
}
"""The oldest flat recipes lack these keys, which stand with what was done then; their data set had 32 x 32 pixels."""

_MOVED: dict[str, dict[str, tuple[str, str]]] = {
    "model": {
        "u_channels": ("u", "channels"),
        "u_down": ("u", "down"),
        "z_channels": ("z", "channels"),
        "z_down": ("z", "down"),
        "posterior": ("posterior", "kind"),
        "prior": ("prior", "kind"),
        "prior_layers": ("prior", "layers"),
        "prior_width": ("prior", "width"),
        "prior_mixtures": ("prior", "mixtures"),
        "network": ("network", "kind"),
        "width": ("network", "width"),
        "blocks": ("network", "blocks"),
        "finest": ("network", "finest"),
        "width_q": ("network", "encoder_width"),
        "blocks_q": ("network", "encoder_blocks"),
        "folds_q": ("network", "encoder_folds"),
        "growth": ("network", "growth"),
        "layers": ("network", "layers"),
        "phases": ("likelihood", "phases"),
        "mixtures": ("likelihood", "mixtures"),
        "width_head": ("likelihood", "head_width"),
        "blocks_head": ("likelihood", "head_blocks"),
    },
    "train": {
        "optimizer": ("optimizer", "kind"),
        **{key: ("optimizer", key) for key in ("learning_rate", "final_rate", "warmup")},
        **{
            key: ("objective", key)
            for key in ("free_share", "free_weight", "generated_share", "latent_weight", "latent_warmup")
        },
    },
}
"""The values of flat tables stand in this table today, under this key."""

_UNREAD: dict[tuple[str, Any], tuple[str, ...]] = {
    ("prior", "gaussian"): ("layers", "width", "mixtures"),
    ("prior", "mog"): ("layers", "width"),
    ("prior", "realnvp"): ("mixtures",),
    ("network", "residual"): ("growth", "layers"),
    ("likelihood", "context"): ("phases",),
}
"""Flat recipes had to give these keys although their kind of table does not read them."""


def _is_flat(values: Any) -> bool:
    """Whether values are a recipe in the old form: a model's prior was a word, and its latents had no tables."""
    if not isinstance(values, dict) or not all(isinstance(values.get(name), dict) for name in ("model", "train")):
        return False
    model = values["model"]
    return isinstance(model.get("prior"), str) and not {"u", "z", "likelihood"} & set(model)


def lifted(values: Any) -> Any:
    """The values of a recipe in today's form; what is no flat recipe is returned as it is, for the parser to judge.

    Unknown keys stay, so that they are complained about.
    """
    if not _is_flat(values):
        return values
    out = {key: value for key, value in values.items() if key not in _MOVED}
    for name, moved in _MOVED.items():
        flat: Table = {**_ADDED_LATER[name], **values[name]}
        table: Table = {}
        if name == "model":
            table["likelihood"] = {"kind": "context" if flat.pop("context") else "phases"}
        else:
            table["objective"] = {"kind": "likelihood"}
        for key, value in flat.items():
            if key in moved:
                inner, new = moved[key]
                table.setdefault(inner, {})[new] = value
            else:
                table[key] = value
        out[name] = table
    for (inner, kind), unread in _UNREAD.items():
        table = out["model"][inner]
        if table.get("kind") == kind:
            for key in unread:
                table.pop(key, None)
    return out
