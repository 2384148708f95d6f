"""vLLM's model in the process of vLLM's scheduler, on a CPU too.

There vLLM would put it into another process and wait for it by spinning on a core, which a machine
with few of them needs for scoring and for the search.
"""

from __future__ import annotations

from vllm.v1.executor.uniproc_executor import UniProcExecutor


class SameProcess(UniProcExecutor):  # type: ignore[misc]  # vLLM is not there to check
    """vLLM's own executor of one process: by this name it is not replaced on a CPU."""
