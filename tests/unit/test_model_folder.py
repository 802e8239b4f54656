"""What is wrong with a model's folder is said before anything is loaded from it."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from rlavr_hpc.config.data import DataConfig
from rlavr_hpc.config.model import ModelConfig
from rlavr_hpc.config.rollout import RolloutConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.evaluation.evaluated_model import Settings, find_subject
from rlavr_hpc.evaluation.weights import read_weights
from rlavr_hpc.trainer.model_folder.architecture import check_architecture
from rlavr_hpc.trainer.model_folder.folder import check_model, check_model_folder
from rlavr_hpc.trainer.model_folder.safetensors_header import read_header
from rlavr_hpc.trainer.model_folder.weight_files import read_weight_files
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle, load_tokenizer
from rlavr_hpc.types import Prompt
from tests.support.tiny_models import byte_tokenizer, qwen2

POINTER = """version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""
Q = "model.layers.1.self_attn.q_proj.weight"
WEIGHTS = "model.safetensors"


def make(folder: Path, *, tied: bool = False, rows: int | None = None) -> Path:
    """A whole model of two layers; its tokenizer has 260 tokens."""
    tokenizer = byte_tokenizer(None, special=("<|endoftext|>", "<turn>", "<over>", "<pad>"))
    tokenizer.save_pretrained(folder)
    model = qwen2(
        tokenizer,
        vocab_size=rows or len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        eos_token_id=None if rows else tokenizer.eos_token_id,
        pad_token_id=None,
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("tied"), tied=True)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def shard(folder: Path) -> Path:
    """The weights in three files with an index."""
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(weights)
    places = {name: f"model-0000{1 + i % 3}-of-00003.safetensors" for i, name in enumerate(names)}
    for file in sorted(set(places.values())):
        part = {name: weights[name] for name in names if places[name] == file}
        save_file(part, folder / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    return folder


def set_config(folder: Path, **values: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def check(folder: Path) -> int | None:
    check_model_folder(folder)
    return check_architecture(folder, trust_remote_code=False)


def settings_for(folder: Path) -> Settings:
    from rlavr_hpc.config.grading import GradingConfig
    from rlavr_hpc.config.task import TaskConfig

    return Settings(
        model=ModelConfig(path=str(folder)),
        data=DataConfig(path="unused"),
        rollout=RolloutConfig(max_prompt_tokens=8, max_response_tokens=8),
        grading=GradingConfig(),
        task=TaskConfig(),
    )


def bundle_of(folder: Path) -> TokenizerBundle:
    return load_tokenizer(settings_for(folder), quiet=True)


# --- whole folders -------------------------------------------------------------------------------


def test_a_whole_folder_passes_and_tells_the_rows_of_its_embedding(whole: Path) -> None:
    assert check(whole) == 260


def test_a_tied_model_needs_no_head_of_its_own(tied: Path) -> None:
    assert "lm_head.weight" not in read_header(tied / WEIGHTS)
    assert check(tied) == 260


def test_shards_are_read_through_their_index(folder: Path) -> None:
    assert check(shard(folder)) == 260


def test_names_without_the_prefix_of_the_base_model_are_understood(folder: Path) -> None:
    def strip(weights: dict[str, torch.Tensor]) -> None:
        for name in list(weights):
            weights[name.removeprefix("model.")] = weights.pop(name)

    assert check(rewrite(folder, strip)) == 260


def test_weights_that_are_not_used_are_said_and_not_refused(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(folder, lambda weights: weights.update({"mtp.weight": torch.zeros(2)}))
    assert check(folder) == 260
    assert "mtp.weight" in caplog.text


def test_a_check_draws_no_random_number(whole: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check(whole)
    assert torch.equal(before, torch.get_rng_state())


def test_the_header_is_what_the_library_wrote(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(0, dtype=torch.bfloat16)}, path)
    found = read_header(path)
    assert found["a"].shape == (2, 3)
    assert found["a"].dtype == "F32"
    assert found["a"].end - found["a"].start == 24
    assert found["b"].end == found["b"].start


# --- weights that are missing --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "lm_head.weight",
        "model.embed_tokens.weight",
        "model.norm.weight",
        Q,
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.0.mlp.down_proj.weight",
        "model.layers.1.input_layernorm.weight",
    ],
)
def test_a_model_that_lacks_a_weight_is_refused_by_its_name(folder: Path, name: str) -> None:
    rewrite(folder, lambda weights: weights.pop(name))
    with pytest.raises(UserError, match=f"weights lack {name}"):
        check(folder)


def test_a_whole_layer_that_is_missing_is_counted(folder: Path) -> None:
    def drop(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if ".layers.1." in name]:
            del weights[name]

    with pytest.raises(UserError, match="and 7 more"):
        check(rewrite(folder, drop))


def test_a_tied_model_without_any_embedding_is_refused(tied: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tied, tmp_path / "model"))
    rewrite(folder, lambda weights: weights.pop("model.embed_tokens.weight"))
    with pytest.raises(UserError, match=r"lack .*embed_tokens"):
        check(folder)


def test_an_untied_model_without_a_head_says_how_to_tie_it(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.pop("lm_head.weight"))
    with pytest.raises(UserError, match="set tie_word_embeddings to true"):
        check(folder)


def test_a_tied_model_with_another_head_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="two different matrices"):
        check(set_config(folder, tie_word_embeddings=True))


def test_a_tied_model_whose_head_is_a_copy_passes(tied: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tied, tmp_path / "model"))
    head = "lm_head.weight"
    rewrite(folder, lambda w: w.update({head: w["model.embed_tokens.weight"].clone()}))
    assert check(folder) == 260


def test_a_shard_that_lacks_what_the_index_says_is_named(folder: Path) -> None:
    path = shard(folder) / "model-00001-of-00003.safetensors"
    weights = load_file(path)
    lost = sorted(weights)[0]
    del weights[lost]
    save_file(weights, path)
    with pytest.raises(UserError, match=f"model-00001-of-00003.safetensors lacks {lost}"):
        check_model_folder(folder)


def test_an_index_that_does_not_name_a_weight_is_found_by_the_architecture(folder: Path) -> None:
    path = shard(folder) / "model-00001-of-00003.safetensors"
    weights = load_file(path)
    lost = sorted(weights)[0]
    del weights[lost]
    save_file(weights, path, metadata={"format": "pt"})
    index = folder / f"{WEIGHTS}.index.json"
    values = json.loads(index.read_text())
    del values["weight_map"][lost]
    index.write_text(json.dumps(values))
    with pytest.raises(UserError, match=f"lack {lost}"):
        check(folder)


def test_evaluation_and_adapters_refuse_incomplete_weights_as_they_load_them(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.pop(Q))
    with pytest.raises(UserError, match=f"weights lack {Q}"):
        read_weights(folder, model=ModelConfig(path=str(folder)))


def test_weights_that_cannot_be_read_are_a_mistake_also_as_they_are_loaded(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, 5000)
    with pytest.raises(UserError, match="its weights cannot be read"):
        read_weights(folder, model=ModelConfig(path=str(folder)))


def test_pickled_weights_of_another_shape_are_a_mistake_as_they_are_loaded(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS) | {Q: torch.zeros(8, 16)}
    (folder / WEIGHTS).unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"do not fit its config\.json"):
        read_weights(folder, model=ModelConfig(path=str(folder)))


# --- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"vocab_size": 300}, "embed_tokens.weight"),
        ({"intermediate_size": 32}, "mlp"),
        ({"num_key_value_heads": 2}, "k_proj"),
        ({"hidden_size": 32}, "embed_tokens.weight|lm_head"),
        ({"head_dim": 4}, "q_proj|k_proj"),
    ],
)
def test_a_config_of_another_size_is_refused(
    folder: Path, values: dict[str, int], name: str
) -> None:
    with pytest.raises(UserError, match=f"do not fit its config.json: .*({name})"):
        check(set_config(folder, **values))


def test_a_matrix_of_another_shape_is_named_with_both_shapes(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({Q: torch.zeros(8, 16)}))
    with pytest.raises(UserError, match=r"q_proj.weight is \[8, 16\] instead of \[16, 16\]"):
        check(folder)


# --- files that are not what they are called -----------------------------------------------------


@pytest.mark.parametrize(
    "name", [WEIGHTS, "config.json", "tokenizer.json", "tokenizer_config.json"]
)
def test_a_git_lfs_pointer_is_named_with_the_command_that_fetches_it(
    folder: Path, name: str
) -> None:
    (folder / name).write_text(POINTER)
    with pytest.raises(UserError, match=f"{name} is a Git LFS pointer to 12,345 bytes.*git lfs pu"):
        check_model_folder(folder)


def test_a_pointer_among_shards_is_named(folder: Path) -> None:
    (shard(folder) / "model-00002-of-00003.safetensors").write_text(POINTER)
    with pytest.raises(UserError, match=r"model-00002-of-00003.safetensors is a Git LFS pointer"):
        check_model_folder(folder)


def test_a_pointer_instead_of_pickled_weights_is_named(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_text(POINTER)
    with pytest.raises(UserError, match=r"pytorch_model.bin is a Git LFS pointer"):
        check_model_folder(folder)


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.02, 0.001, 0])
def test_a_file_that_was_cut_is_refused(folder: Path, keep: float) -> None:
    path = folder / WEIGHTS
    os.truncate(path, int(path.stat().st_size * keep))
    with pytest.raises(UserError, match=r"cut short|is empty|no safetensors file"):
        check_model_folder(folder)


def test_one_byte_too_few_and_one_too_many_are_refused(folder: Path) -> None:
    path = folder / WEIGHTS
    size = path.stat().st_size
    os.truncate(path, size - 1)
    with pytest.raises(UserError, match=f"cut short: it has {size - 1:,} bytes .* {size:,};"):
        check_model_folder(folder)
    os.truncate(path, size + 1)
    with pytest.raises(UserError, match="is too long"):
        check_model_folder(folder)


def test_a_shard_that_was_cut_is_named(folder: Path) -> None:
    path = shard(folder) / "model-00003-of-00003.safetensors"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(UserError, match=r"model-00003-of-00003.safetensors is cut short"):
        check_model_folder(folder)


def test_pickled_weights_that_were_cut_are_refused_without_being_opened(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    path = folder / "pytorch_model.bin"
    torch.save(weights, path)
    assert check(folder) is None
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(UserError, match=r"pytorch_model.bin is cut short"):
        check_model_folder(folder)


def broken(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


FOUR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 this was never safetensors",
        b"<!DOCTYPE html><html>please log in</html>",
        broken(b"{not json"),
        broken([1, 2]),
        broken({"a": {"dtype": "F32", "shape": [1]}}),
        broken({"a": {**FOUR, "shape": [-1]}}, bytes(4)),
        broken({"a": {**FOUR, "shape": [2]}}, bytes(4)),
        broken({"a": {**FOUR, "data_offsets": [4, 0]}}, bytes(4)),
        broken({"a": {**FOUR, "data_offsets": [4, 8]}}, bytes(8)),
        broken({"a": FOUR, "b": FOUR}, bytes(4)),
        broken({"a": {**FOUR, "data_offsets": "no"}}, bytes(4)),
        broken({"a": FOUR}, bytes(400)),
        struct.pack("<Q", 1 << 60) + b"{}",
        b"\x00",
    ],
)
def test_a_file_that_is_no_safetensors_is_refused(folder: Path, content: bytes) -> None:
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(UserError, match=WEIGHTS):
        check_model_folder(folder)


# --- files that are missing ----------------------------------------------------------------------


def test_shards_that_are_missing_are_named(folder: Path) -> None:
    (shard(folder) / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match=r"lacks model-00002-of-00003.safetensors of the 3 files"):
        check_model_folder(folder)


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        "{}",
        '{"weight_map": {}}',
        '{"weight_map": {"a": 3}}',
        '{"weight_map": {"a": "../other/model.safetensors"}}',
        '{"weight_map": {"a": "/etc/passwd"}}',
        POINTER,
    ],
)
def test_an_index_that_cannot_be_used_is_refused(folder: Path, index: str) -> None:
    (shard(folder) / f"{WEIGHTS}.index.json").write_text(index)
    with pytest.raises(UserError, match=r"index\.json"):
        check_model_folder(folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model-q4.gguf", "GGUF"),
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
        ("consolidated.00.pth", "own format"),
        ("model.safetensors.incomplete", "not completed"),
        ("readme.txt", "download the whole model"),
    ],
)
def test_a_folder_without_weights_says_what_it_holds_instead(
    folder: Path, name: str, said: str
) -> None:
    (folder / WEIGHTS).rename(folder / name)
    with pytest.raises(UserError, match=f"holds no weights: .*{said}"):
        check_model_folder(folder)


def test_a_link_that_leads_nowhere_is_named(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(folder / "gone")
    with pytest.raises(UserError, match=r"model.safetensors cannot be read"):
        check_model_folder(folder)


@pytest.mark.parametrize("content", ["{", "[1]", "null", "", '{"hidden_size": 3}', "\x00\x01"])
def test_a_config_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json"):
        check_model_folder(folder)


def test_an_architecture_that_nobody_knows_is_refused_without_a_traceback(folder: Path) -> None:
    set_config(folder, model_type="qwen99", architectures=["Qwen99ForCausalLM"])
    with pytest.raises(UserError, match="qwen99"):
        bundle_of(folder)


def test_a_config_that_contradicts_itself_is_refused_without_a_traceback(folder: Path) -> None:
    set_config(folder, num_hidden_layers=1, layer_types=["full_attention"] * 2)
    with pytest.raises(UserError, match="cannot be"):
        bundle_of(folder)


@pytest.mark.parametrize("fewer", [1, 3])
def test_a_config_with_another_number_of_layers_does_not_pass_in_silence(
    folder: Path, fewer: int, caplog: pytest.LogCaptureFixture
) -> None:
    set_config(folder, num_hidden_layers=fewer, layer_types=["full_attention"] * fewer)
    if fewer == 3:
        with pytest.raises(UserError, match=r"lack model\.layers\.2"):
            check(folder)
    else:
        check(folder)
        assert "model.layers.1" in caplog.text


def test_a_folder_without_a_config_says_so(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"is no model's folder, it has no config.json; download"):
        check_model_folder(folder)


def test_the_folder_above_a_model_names_the_one_below(folder: Path) -> None:
    with pytest.raises(UserError, match="model has one; name that"):
        check_model_folder(folder.parent)


def test_adapters_are_no_model_and_their_base_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "adapters"
    folder.mkdir()
    settings = {"base_model_name_or_path": "Qwen/Qwen3-4B"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="holds adapters of Qwen/Qwen3-4B; merge"):
        check_model_folder(folder)
    with pytest.raises(UserError, match="holds adapters of Qwen/Qwen3-4B; merge"):
        find_subject(str(folder), step=None)


def test_a_run_is_no_model_and_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(UserError, match="rlavr export RUN"):
        check_model_folder(tmp_path)


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model-q4.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(UserError, match=r"is a file: model-q4.gguf is GGUF"):
        check_model(ModelConfig(path=str(path)))


def test_a_path_that_does_not_exist_is_refused_and_a_hub_name_is_not(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        check_model(ModelConfig(path=str(tmp_path / "nowhere")))
    check_model(ModelConfig(path="Qwen/Qwen3-4B"))


# --- tokenizers ----------------------------------------------------------------------------------


def test_a_folder_without_a_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="holds no tokenizer"):
        check_model_folder(folder)


def test_half_a_tokenizer_is_none(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "vocab.json")
    with pytest.raises(UserError, match="holds no tokenizer"):
        check_model_folder(folder)
    (folder / "merges.txt").write_text("#version: 0.2\n")
    check_model_folder(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", POINTER, "<html>not found</html>"])
def test_a_tokenizer_that_cannot_be_read_is_refused(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        check_model_folder(folder)


def test_a_tokenizer_of_another_form_is_refused_without_a_traceback(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "Unheard"}}')
    with pytest.raises(UserError, match="cannot be loaded"):
        bundle_of(folder)


def test_a_stop_token_beyond_the_embedding_is_refused_by_name(tmp_path: Path) -> None:
    folder = make(tmp_path / "model", rows=200)
    with pytest.raises(UserError, match="256"):
        bundle_of(folder)


def test_a_padding_token_beyond_the_embedding_is_refused_by_name(tmp_path: Path) -> None:
    folder = make(tmp_path / "model", rows=259)
    with pytest.raises(UserError, match=r"padding token 259 \('<pad>'\) has no row .* has 259"):
        bundle_of(folder)


def test_tokens_that_no_prompt_uses_are_only_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens(["<image>", "<sound>"])
    tokenizer.save_pretrained(folder)
    assert bundle_of(folder).rows == 260
    assert "2 tokens of its tokenizer, 260 ('<image>'), 261 ('<sound>')" in caplog.text


def test_a_prompt_with_a_token_beyond_the_embedding_is_refused_by_name(folder: Path) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens(["<image>"])
    tokenizer.save_pretrained(folder)
    bundle = bundle_of(folder)
    good = Prompt(id="p1", text="a", token_ids=(3, 259), task="math")
    bad = Prompt(id="p2", text="b", token_ids=(3, 260), task="math")
    bundle.check_prompts([good])
    with pytest.raises(UserError, match=r"1 of 2 prompts \(p2\) .* has 260: 260 \('<image>'\)"):
        bundle.check_prompts([good, bad])


def test_rows_beyond_the_tokenizer_are_usual(tmp_path: Path) -> None:
    folder = make(tmp_path / "model", rows=320)
    assert bundle_of(folder).rows == 320


# --- safety --------------------------------------------------------------------------------------


def test_nothing_is_unpickled(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS).unlink()
    mark = tmp_path / "was-run"
    code = f"cbuiltins\nexec\n(S'open({str(mark)!r}, \"w\")'\ntR.".encode()
    (folder / "pytorch_model.bin").write_bytes(code)
    assert read_weight_files(folder) is None
    assert check(folder) is None
    assert not mark.exists()


def test_code_of_the_folder_is_not_executed_without_consent(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    (folder / "modeling_own.py").write_text(f"open({str(mark)!r}, 'w')\n")
    set_config(
        folder,
        model_type="own",
        auto_map={
            "AutoConfig": "modeling_own.Config",
            "AutoModelForCausalLM": "modeling_own.Model",
        },
    )
    with pytest.raises(UserError):
        bundle_of(folder)
    assert not mark.exists()
