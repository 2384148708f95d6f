"""The requests that docs/serve.md shows are answered by a server."""

from __future__ import annotations

import ast
import asyncio
import json
from typing import Any

from tests.docs.blocks import ROOT, blocks
from tests.serve.conftest import serving
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.model import SimModel

BODIES = [block.body for block in blocks(ROOT / "docs" / "serve.md")]


def curl_body() -> dict[str, Any]:
    """What the page's curl command posts."""
    (command,) = [body for body in BODIES if " -d '" in body]
    body: dict[str, Any] = json.loads(command.split("'")[1])
    return body


def client_body() -> dict[str, Any]:
    """What the OpenAI package posts for the page's call: `extra_body` beside the other members."""
    (program,) = [body for body in BODIES if "completions.create(" in body]
    calls = (node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call))
    (call,) = [each for each in calls if ast.unparse(each.func).endswith("completions.create")]
    members = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    extra: dict[str, Any] = members.pop("extra_body")
    return members | extra


def test_the_requests_of_the_page_are_answered() -> None:
    async def post() -> None:
        # Bounds of tokens go by the window: here that of the bundled policy.
        binding = SimModel().binding(context=1024)
        async with serving(["beam_search"], policy=SimPolicy(binding=binding)) as served:
            for body in (curl_body(), client_body()):
                reply = await served.http.post("/v1/chat/completions", json=body)
                assert reply.status_code == 200, reply.text

    asyncio.run(post())
