"""A bare asyncio script that makes the same calls and stores nothing.

Run as `python -m benchmarks.bare_calls ROOT BASE_URL ESSAY...`. Prints one JSON object with the wall and processor
time of the calls; imports are not measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from benchmarks.stores import REPLICATES

AT_ONCE = 50


async def ask_all(prompts: list[str], base_url: str) -> int:
    """Send each prompt, AT_ONCE at a time; return how many replies had a score."""
    slots = asyncio.Semaphore(AT_ONCE)
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)

    async def ask(client: AsyncOpenAI, prompt: str) -> bool:
        async with slots:
            answer = await client.chat.completions.create(
                model="example/judge-a", messages=[{"role": "user", "content": prompt}]
            )
            return "SCORE:" in (answer.choices[0].message.content or "")

    async with AsyncOpenAI(api_key="offline", base_url=base_url, http_client=http, max_retries=0) as client:
        return sum(await asyncio.gather(*(ask(client, prompt) for prompt in prompts)))


def main() -> None:
    """Ask for REPLICATES judgements of each essay."""
    root, base_url, *essays = sys.argv[1:]
    texts = [(Path(root) / "gens" / "essay" / essay / "parsed.txt").read_text() for essay in essays]
    prompts = [f"<<<ESSAY\n{text}\nESSAY>>>\nEnd with a line SCORE: n\n" for text in texts for _ in range(REPLICATES)]
    wall, cpu = time.perf_counter(), time.process_time()
    replies = asyncio.run(ask_all(prompts, base_url))
    assert replies == len(prompts)
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    sys.stdout.write(json.dumps(spent) + "\n")


if __name__ == "__main__":
    main()
