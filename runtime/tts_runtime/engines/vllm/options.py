"""Options of `vllm:MODEL` and of `FAMILY:MODEL?engine=vllm`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tts_runtime.engines.options import NoOptions

#: Shares of a GPU's memory when nobody says otherwise: policy and PRM fit on one GPU together.
POLICY_SHARE = 0.55
SCORER_SHARE = 0.35
#: GiB for partial blocks on a CPU, whose blocks are long; on a GPU none unless the user says.
PARTIAL_BLOCKS = 0.25


class VllmOptions(NoOptions):
    """Of everything that vLLM runs."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    tensor_parallel: int = Field(default=1, gt=0, description="GPUs that share each layer")
    gpu_memory: float | None = Field(default=None, gt=0, le=1, description="Share of the device")
    kv_cache: float | None = Field(default=None, gt=0, description="Keys and values, in GiB")
    context: int | None = Field(default=None, gt=0, description="vLLM's max_model_len")
    slots: int = Field(default=256, gt=0, description="vLLM's max_num_seqs")
    enforce_eager: bool | None = Field(default=None, description="No graphs; on a CPU by default")
    block: int | None = Field(default=None, gt=0, description="Tokens of a cached block")
    partial_blocks: float | None = Field(
        default=None, ge=0, description="Cache of partial blocks, in GiB"
    )
    internals: Literal["auto", "off"] = Field(
        default="auto", description="Undocumented parts of vLLM: where they fit, or none"
    )
    revision: str | None = Field(default=None, description="Of a model of the hub")
    log: bool = Field(default=False, description="Show vLLM's own messages")


class VllmPolicyOptions(VllmOptions):
    """Of `vllm:MODEL`."""

    binding: str | None = Field(default=None, description="A shipped binding's name, or a file")
    lora: str | None = Field(default=None, description="Folder of a LoRA adapter")


class VllmScorerOptions(VllmOptions):
    """Of `FAMILY:MODEL?engine=vllm`."""

    layout: str | None = Field(default=None, description="Whose way of writing paths, by family")
    engine: Literal["vllm"] = "vllm"
