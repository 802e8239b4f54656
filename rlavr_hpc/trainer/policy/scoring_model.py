"""The language model in training: token ids in, log-probabilities of the responses out.

Shapes: N samples in B rows of T tokens, R response tokens of all samples in order, D hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import nn

from rlavr_hpc.errors import UserError
from rlavr_hpc.learning.logprobs import token_logprobs, token_scores
from rlavr_hpc.trainer.policy.sequences import Sequences

PREFIX = "language_model."
"""Of the wrapped model's parameter names."""


class ScoringOutputs(StrEnum):
    """What a forward pass computes."""

    logprobs = "logprobs"
    """Differentiable log-probabilities, and entropies: for an update."""
    states = "states"
    """Hidden states, and no logits."""
    everything = "everything"
    """Log-probabilities, entropies, certainties and hidden states."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N responses, in order, as float32 on the CPU."""

    keys: list[tuple[str, int]]
    lengths: list[int]
    """Tokens of each response; they add up to R."""
    logp_R: torch.Tensor
    """Empty, like the next two, where only the states were requested."""
    entropy_R: torch.Tensor
    certainty_R: torch.Tensor
    prompt_ND: torch.Tensor
    """Hidden state after the final norm at each prompt's last token."""
    response_ND: torch.Tensor
    """The same at each response's last token."""

    def old_logprobs(self) -> OldLogProbs:
        """By sample."""
        return dict(zip(self.keys, self.logp_R.split(self.lengths), strict=True))


def joined(parts: Sequence[Scores]) -> Scores:
    """The scores of several passes as one."""
    return Scores(
        [key for part in parts for key in part.keys],
        [length for part in parts for length in part.lengths],
        *(
            torch.cat([getattr(part, name) for part in parts])
            for name in ("logp_R", "entropy_R", "certainty_R", "prompt_ND", "response_ND")
        ),
    )


OldLogProbs = Mapping[tuple[str, int], torch.Tensor]
"""Sample's key -> (T,) log-probabilities before a step's first update."""


class ScoringModel(nn.Module):
    """A Hugging Face causal language model that returns log-probabilities instead of logits."""

    def __init__(self, language_model: nn.Module, *, temperature: float, chunk: int) -> None:
        """Wrap a model.

        Raises:
            UserError: its head does more than multiply by a matrix.
        """
        super().__init__()
        self.language_model = language_model
        head = language_model.get_output_embeddings()  # type: ignore[operator]
        settings = language_model.config
        extras = ("final_logit_softcapping", "logits_scaling", "logit_scale")
        odd = [name for name in extras if getattr(settings, name, None) not in (None, 1, 1.0)]
        if odd or getattr(head, "bias", None) is not None:
            raise UserError(
                f"{type(language_model).__name__}: heads with {', '.join(odd) or 'a bias'} are not "
                "supported yet"
            )
        self.head = _Head(head.weight, temperature=temperature, chunk=chunk)

    def forward(
        self, sequences: Sequences, *, outputs: ScoringOutputs = ScoringOutputs.logprobs
    ) -> tuple[torch.Tensor, ...]:
        """The requested outputs, sample by sample.

        Returns:
            For `logprobs` log-probability and entropy of every response token, (R,) each; else all
            of `Scores` in its order: (R,) three times, (0,) each for `states`, and (N, D) twice.
        """
        decoder = self.language_model.get_decoder()  # type: ignore[operator]
        hidden_BTD = decoder(
            input_ids=sequences.ids_BT, position_ids=sequences.position_BT, use_cache=False
        ).last_hidden_state
        if outputs is ScoringOutputs.states:
            return (*(hidden_BTD.new_empty(3, 0)), *_last_states(hidden_BTD, sequences))
        scored_BT = sequences.response_BT[:, 1:]
        in_full = outputs is ScoringOutputs.everything
        scores: tuple[torch.Tensor, ...] = self.head(
            hidden_BTD[:, :-1][scored_BT], sequences.ids_BT[:, 1:][scored_BT], certainty=in_full
        )
        return (*scores, *_last_states(hidden_BTD, sequences)) if in_full else scores


def _last_states(
    hidden_BTD: torch.Tensor, sequences: Sequences
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, D) each: at the last token of the prompts, and of the responses."""
    hidden_XD = hidden_BTD.flatten(0, 1)
    return hidden_XD[sequences.prompt_end_N].float(), hidden_XD[sequences.end_N].float()


class _Head(nn.Module):
    """Owns a reference to the head's matrix, so that ZeRO-3 gathers it once per pass."""

    def __init__(self, weight: nn.Parameter, *, temperature: float, chunk: int) -> None:
        super().__init__()
        self.weight = weight
        self.temperature, self.chunk = temperature, chunk

    def forward(
        self, hidden_RD: torch.Tensor, target_R: torch.Tensor, *, certainty: bool
    ) -> tuple[torch.Tensor, ...]:
        score = token_scores if certainty else token_logprobs
        return score(
            hidden_RD, self.weight, target_R, temperature=self.temperature, chunk=self.chunk
        )
