"""`python -m tests.support.vllm_reads FOLDER PROMPTS_JSON`: a model folder as vLLM's users load it.

Prints vLLM's default sampling, and per prompt its tokens, the response and its log-probabilities.
"""

from __future__ import annotations

import json
import os
import sys


def main(folder: str, prompts: list[str]) -> None:
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
    }
    from vllm import LLM

    from rlavr_hpc.trainer.job import end_process

    llm = LLM(
        model=folder, dtype="float32", enforce_eager=True, max_model_len=64, max_num_seqs=64, seed=0
    )
    sampling = llm.get_default_sampling_params()
    told = {
        name: getattr(sampling, name) for name in ("temperature", "top_p", "top_k", "max_tokens")
    }
    sampling.logprobs, sampling.seed = 0, 1
    responses = []
    for output in llm.generate(prompts, sampling, use_tqdm=False):
        completion = output.outputs[0]
        steps = zip(completion.token_ids, completion.logprobs or [], strict=True)
        responses.append(
            {
                "prompt_ids": list(output.prompt_token_ids or []),
                "ids": list(completion.token_ids),
                "logprobs": [entry[token].logprob for token, entry in steps],
            }
        )
    print(json.dumps({"sampling": told, "responses": responses}))
    end_process(0)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
