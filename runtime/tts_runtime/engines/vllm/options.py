"""Options of `vllm:MODEL` and of `FAMILY:MODEL?engine=vllm`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tts_runtime.engines.options import NoOptions

#: Default shares of a GPU's memory: a policy and a PRM together fit on one GPU.
POLICY_SHARE = 0.55
SCORER_SHARE = 0.35
#: Default GiB for keys and values on a CPU.
CPU_CACHE = 1.0
#: Default GiB for partial blocks on a CPU, whose blocks are long; none on a GPU.
PARTIAL_BLOCKS = 0.25


class VllmOptions(NoOptions):
    """Options of everything that vLLM runs."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    tensor_parallel: int = Field(
        default=1, gt=0, description="Number of GPUs that share each layer"
    )
    gpu_memory: float | None = Field(
        default=None, gt=0, le=1, description="Share of the device's memory"
    )
    kv_cache: float | None = Field(
        default=None, gt=0, description="Memory for keys and values, in GiB"
    )
    context: int | None = Field(default=None, gt=0, description="vLLM's max_model_len")
    slots: int = Field(default=256, gt=0, description="vLLM's max_num_seqs")
    enforce_eager: bool | None = Field(
        default=None, description="No compiled graphs; default on a CPU"
    )
    block: int | None = Field(
        default=None, gt=0, description="Tokens per block of the prefix cache"
    )
    partial_blocks: float | None = Field(
        default=None, ge=0, description="Cache of partial blocks, in GiB"
    )
    batch_invariant: Literal["auto", "on", "off"] = Field(
        default="auto", description="A row has the same bits in every batch; auto: where it can"
    )
    internals: Literal["auto", "off"] = Field(
        default="auto", description="off: vLLM's documented interface only"
    )
    devices: str | None = Field(
        default=None, pattern=r"\d+(,\d+)*", description="GPUs that it may use: 0 or 0,1"
    )
    args: str = Field(
        default="", description="More of vLLM's engine arguments: name=value,... or a JSON object"
    )
    revision: str | None = Field(default=None, description="Revision of a hub model")
    log: bool = Field(default=False, description="Show vLLM's own messages")


class VllmPolicyOptions(VllmOptions):
    """Options of `vllm:MODEL`."""

    binding: str | None = Field(default=None, description="Name of a shipped binding, or a file")
    lora: str | None = Field(default=None, description="Folder of a LoRA adapter")


class VllmScorerOptions(VllmOptions):
    """Options of `FAMILY:MODEL?engine=vllm`."""

    layout: str | None = Field(default=None, description="Layout of paths: one of the family's")
    engine: Literal["vllm"] = "vllm"
