"""The entropy coder's stack of words: the only file that knows constriction."""

from __future__ import annotations

try:
    from constriction import stream
except ModuleNotFoundError:  # it has no wheel for every platform
    from selfcodec.coding import ans

    AnsCoder, MODEL = ans.AnsCoder, ans.Categorical(perfect=False)
else:
    AnsCoder, MODEL = stream.stack.AnsCoder, stream.model.Categorical(perfect=False)
