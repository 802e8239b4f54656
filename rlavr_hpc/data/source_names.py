"""Which task reads a row: by the exact name of its `data_source`, never by a part of one.

The names are those that verl, DAPO, Open-R1, TinyZero, Logic-RL and Search-R1 write. What counts is
the last part of a path or of a hub's name, so `openai/gsm8k` and `/scratch/me/gsm8k.parquet` are
`gsm8k`; case does not matter, and `-` is `_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MATH = """
math math_500 math500 math_lighteval math_train hendrycks_math competition_math math_algebra
gsm8k gsm_hard gsm_plus gsm_symbolic gsm1k mgsm svamp asdiv mawps multiarith multiply arithmetic
math_dapo math_dapo_reasoning dapo_math dapo_math_17k dapo_math_17k_processed
numina_aops_forum numina_synthetic_math numina_amc_aime numina_synthetic_amc numina_cn_k12
numina_olympiads numina_math numinamath_cot numinamath_tir numinamath_1.5
aops_forum synthetic_math amc_aime synthetic_amc cn_k12 olympiads orca_math metamath
openr1_math openr1_math_220k openr1_math_default bigmath big_math_rl_verified
big_math_rl_verified_processed deepmath deepmath_103k deepscaler deepscaler_preview_dataset
orz_math orz_math_57k_collection orz_math_72k_collection_extended polaris_dataset_53k math_verify
simplerl simplerl_zoo_data acereason_math skywork_math open_source_math
aime aime24 aime25 aime26 aime2024 aime2025 aime2026 aime_2024 aime_2025 aime_2026 aime_1983_2024
aimo_validation_aime aimo_validation_amc amc amc12 amc22 amc23 amc2023 hmmt hmmt25 hmmt_feb_2024
hmmt_feb_2025 hmmt_nov_2025 brumo_2025 cmimc_2025 smt_2025 beyondaime
minerva minerva_math minervamath olympiadbench olympiad_bench omni_math college_math geometry3k
"""
CHOICE = """
mmlu mmlu_pro mmlu_redux mmlu_redux_2.0 mmlu_stem mmmlu cmmlu ceval ceval_exam c_eval
gpqa gpqa_diamond gpqa_main gpqa_extended supergpqa
arc ai2_arc arc_c arc_e arc_easy arc_challenge openbookqa commonsense_qa commonsenseqa
medqa medqa_usmle medqa_usmle_4_options medmcqa sciq hellaswag race logiqa aqua aqua_rat
"""
KNIGHTS = """
kk kk_logic logic_kk knights knights_and_knaves knights_knaves knights_and_knaves_train
perturbed_knights_and_knaves
"""
TEXT = """
nq nq_open natural_questions triviaqa trivia_qa popqa hotpotqa hotpot_qa 2wikimultihopqa musique
bamboogle simpleqa squad squad_v2 searchr1_nq searchr1_triviaqa searchr1_popqa searchr1_hotpotqa
searchr1_2wikimultihopqa searchr1_musique searchr1_bamboogle
"""
PROGRAMS = """
codecontests code_contests apps taco taco_verified codeforces livecodebench lcb humaneval
humanevalplus mbpp mbppplus leetcode leetcodedataset kodcode kodcode_v1 acecode_87k primecode
verifiable_coding_problems verifiable_coding_problems_python
open_source_code deepcoder deepcoder_preview_dataset swe_bench
"""
OTHERS = "countdown countdown_tasks_3to4 sudoku zebralogic ifeval alpaca_eval mt_bench"

TASK_OF_SOURCE: Mapping[str, str] = MappingProxyType(
    {
        name: task
        for task, names in (
            ("math", MATH),
            ("choice", CHOICE),
            ("knights", KNIGHTS),
            ("text", TEXT),
        )
        for name in names.split()
    }
)
"""Name -> the task that reads its answers."""
NOT_READ: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(PROGRAMS.split(), "its answers are programs, its labels tests"),
        **dict.fromkeys(OTHERS.split(), "its answers follow rules of their own"),
    }
)
"""Known name -> why no task of the program reads its answers."""
SUFFIXES = (".parquet", ".jsonl", ".json", ".csv")


def short_name(source: str) -> str:
    """The part of a source's name that counts."""
    name = source.strip().rstrip("/").replace("\\", "/").rpartition("/")[2].lower()
    suffix = next((ending for ending in SUFFIXES if name.endswith(ending)), "")
    return name.removesuffix(suffix).replace("-", "_").replace(" ", "_")
