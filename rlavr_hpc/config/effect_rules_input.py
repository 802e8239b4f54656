"""Rules for keys about the model, the data, evaluation and labels."""

from __future__ import annotations

from rlavr_hpc.config import effect_conditions as when
from rlavr_hpc.config.data import DataKind
from rlavr_hpc.config.key_effect import Rule

HELD_OUT = "hold prompts out: data.holdout=0.1, or data.eval_path=FILE"
RULES = (
    Rule(
        keys=("model.path", "model.trust_remote_code"),
        works=when.pretrained,
        because=lambda c: f"model={c.model.source} trains a tiny model of its own",
        instead="say model=pretrained model.path=FOLDER_OR_HUB_NAME",
        by=("model",),
        idle=(False,),
    ),
    Rule(
        keys=("model.tied_embeddings", "model.pretrain_steps"),
        works=lambda c: not when.pretrained(c),
        because=lambda c: (
            f"it is about a testbed's model, and model.path={c.model.path} is trained"
        ),
        instead="say model=testbed, or experiment=reasoning",
        by=("model",),
        idle=(False,),
    ),
    Rule(
        keys=("cluster.check_memory",),
        works=when.pretrained,
        because=lambda c: f"model={c.model.source} trains a tiny model, of which no plan is made",
        instead="say model=pretrained model.path=FOLDER_OR_HUB_NAME",
        by=("model",),
        idle=(True,),
    ),
    Rule(
        keys=("data.path", "data.eval_path"),
        works=when.from_file,
        because=when.data_words,
        instead="say data=jsonl or data=parquet, as the file is",
        by=("data",),
    ),
    Rule(
        keys=("data.columns", "data.choices", "data.conflicts"),
        works=when.from_file,
        because=when.data_words,
        instead="say data=file data.path=FILE",
        by=("data",),
        idle=(None,),
    ),
    Rule(
        keys=("task", "data.task"),
        works=when.takes_task,
        because=lambda c: f"{when.data_words(c)}, whose task is known",
        instead="say data=file with data.path=FILE",
        by=("data",),
        idle=("auto", DataKind.knights.value),
    ),
    Rule(
        keys=("data.holdout",),
        works=lambda c: not when.makes_puzzles(c) and not c.data.eval_path,
        because=lambda c: (
            f"data.eval_path={c.data.eval_path} is evaluated on"
            if c.data.eval_path
            else f"data={c.data.kind} makes held-out puzzles"
        ),
        instead="leave the other out",
        by=("data",),
        idle=(0,),
    ),
    Rule(
        keys=("data.kinds", "data.wrong_rule"),
        works=when.testbed_questions,
        because=lambda c: f"it is about the testbed's questions, and {when.data_words(c)}",
        instead="say model=testbed data=testbed",
        by=("data", "model"),
    ),
    Rule(
        keys=("data.count", "data.eval_count"),
        works=when.makes_puzzles,
        because=lambda c: f"it is about puzzles, and {when.data_words(c)}",
        instead="say data=knights",
        by=("data",),
    ),
    Rule(
        keys=("data.people",),
        works=lambda c: c.data.kind is DataKind.knights,
        because=lambda c: f"it is about data=knights, and {when.data_words(c)}",
        instead="say data=knights",
        by=("data",),
    ),
    Rule(
        keys=("data.eval_people",),
        works=lambda c: c.data.kind is DataKind.knights and c.data.eval_count > 0,
        because=lambda c: (
            "data.eval_count=0 makes no held-out puzzles"
            if c.data.kind is DataKind.knights
            else f"it is about puzzles, and {when.data_words(c)}"
        ),
        instead="say data=knights data.eval_count=100",
        by=("data",),
        idle=([],),
    ),
    Rule(
        keys=("data.seed",),
        works=when.draws_data,
        because=lambda c: "no prompts are drawn from this data for evaluation",
        instead="set data.holdout, or seed, the run's own",
        by=("data", "model"),
        idle=(0,),
    ),
    Rule(
        keys=("data.enable_thinking",),
        works=when.templates,
        because=when.template_words,
        instead="take a model with a chat template, and data.chat_template=auto",
        by=("data", "model"),
    ),
    Rule(
        keys=("data.system_role",),
        works=when.templates,
        because=when.template_words,
        instead="take a model with a chat template, and data.chat_template=auto",
        by=("data", "model"),
        idle=("keep",),
    ),
    Rule(
        keys=("data.stop_at_turn_end",),
        works=when.pretrained,
        because=when.template_words,
        instead="take a model with a chat template: model=pretrained model.path=...",
        by=("model",),
        idle=(True,),
    ),
    Rule(
        keys=("data.chat_template",),
        works=when.pretrained,
        because=when.template_words,
        instead="take a model with a chat template: model=pretrained model.path=...",
        by=("model",),
        idle=("none", "auto"),
    ),
    Rule(
        keys=("data.eval_limit", "eval", "eval_every", "checkpoint.keep_best"),
        works=when.held_out,
        because=lambda c: "no prompts are held out, so nothing is evaluated",
        instead=HELD_OUT,
        by=("data",),
        idle=(0, False),
    ),
    Rule(
        keys=("budget_total", "budget_cost", "reuse_labels", "acquisition.candidates"),
        works=when.buys,
        because=lambda c: f"acquisition={c.acquisition.name} buys no label",
        instead="choose an acquisition that buys",
        by=("acquisition", "budget"),
        idle=("auto",),
    ),
    Rule(
        keys=("unlabelled",),
        works=when.unlabelled_remain,
        because=lambda c: f"acquisition={c.acquisition.name} buys the label of every prompt",
        instead="choose another acquisition",
        by=("acquisition", "budget", "data"),
    ),
    Rule(
        keys=("soft_adv",),
        works=when.weighs_votes,
        because=when.unlabelled_words,
        instead="say unlabelled=soft, or unlabelled=trusted with a policy that trusts votes",
        by=("unlabelled", "acquisition"),
    ),
    Rule(
        keys=("reward",),
        works=when.trains_votes,
        because=lambda c: (
            "it rewards prompts without a label, and with "
            f"{when.unlabelled_words(c)} none of them is trained on"
        ),
        instead="say unlabelled=pseudo",
        by=("unlabelled", "acquisition"),
        idle=("vote",),
    ),
    Rule(
        keys=("grading.extract", "grading.evaluate_expressions"),
        works=when.reads_mathematics,
        because=lambda c: f"it is about math answers, and {when.task_words(c)}",
        instead="say task=math",
        by=("data", "task"),
    ),
    Rule(
        keys=("grading.thoughts",),
        works=when.may_read_thoughts,
        because=lambda c: f"{when.task_words(c)}, which never finds an answer in a thought",
        instead="say task=math, task=choice or task=knights",
        by=("data", "task"),
    ),
)
