"""How each operator of a plan is run, a module for each kind; importing this registers them all."""

from tts_runtime.executor.ops import (  # noqa: F401
    control,
    edit,
    judge,
    sample,
    score,
    select,
    tree,
)
