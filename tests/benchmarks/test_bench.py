"""`selfcodec bench`: runs, resuming, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_command import record, results, run
from click.testing import CliRunner
from PIL import Image

from selfcodec.benchmarks import bench, runner
from selfcodec.benchmarks.coders import PEERS, Coded, Options, Peer
from selfcodec.benchmarks.journal import Journal
from selfcodec.benchmarks.provenance import environment
from selfcodec.benchmarks.results import Record
from selfcodec.cli.main import main
from selfcodec.errors import InputError
from selfcodec.images import Picture
from selfcodec.zoo import Model

WHAT: dict[str, Any] = {"dataset": "here", "models": {}}
pytest_plugins = ("benchmark_fixtures",)


def lasting(record: Record) -> Record:
    """Without what differs from run to run."""
    return replace(record, encode_seconds=0, decode_seconds=0, peak_mib=None)


def test_a_run_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--dataset", folder, "--models", "tiny", "--qualities", "30,80", "--peers", "png, jpeg, webp", "-o", out)
    printed = run(*options).output
    found = results(out)
    assert found.dataset == "pictures"
    assert list(dict.fromkeys(r.image for r in found.records)) == ["a", "b", "c"]
    assert len(found.records) == 3 * (4 * 2 + 1 + 1 + 11 + 9)
    assert found.provenance["models"].keys() == {"tiny"}
    assert str(tmp_path) not in found.provenance["command"]
    text = (out / "summary.md").read_text(encoding="utf-8")
    assert text.strip() in printed
    assert "| tiny lossless |" in text
    assert "BD-rate against JPEG" in text
    for name in ("psnr", "lossless"):
        with Image.open(out / f"{name}.png") as image:
            assert min(image.size) > 200
        assert "<svg" in (out / f"{name}.svg").read_text(encoding="utf-8")
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert len(report["points"]) == 4 * 2 + 1 + 1 + 11 + 9


def test_two_runs_give_the_same_figures(folder: Path, tmp_path: Path) -> None:
    runs = []
    for i, jobs in enumerate((1, 2)):
        out = tmp_path / str(i)
        options = ("--limit", 2, "--seed", 7, "--models", "tiny", "--qualities", 50, "--peers", "png,webp")
        run("--dataset", folder, *options, "-j", jobs, "-o", out)
        runs.append([lasting(record) for record in results(out).records])
    assert runs[0] == runs[1]


def test_seeds_draw_images(folder: Path) -> None:
    drawn = {tuple(bench.choose_pictures(str(folder), 2, seed)) for seed in range(12)}
    assert drawn == {("a", "b"), ("a", "c"), ("b", "c")}
    assert list(bench.choose_pictures(str(folder), 2, None)) == ["a", "b"]
    assert list(bench.choose_pictures(str(folder), 5, 1)) == ["a", "b", "c"]


def test_a_stopped_run_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, measured, stop = tmp_path / "out", list[str](), ["now"]
    options = ("--dataset", folder, "--models", "tiny", "--modes", "lossless", "--peers", "png", "-o", out)
    real = runner.measure_image

    def stopping(name: str, *rest: Any) -> list[Record]:
        if name == "b" and stop:
            stop.clear()
            raise KeyboardInterrupt
        measured.append(name)
        return real(name, *rest)

    monkeypatch.setattr(runner, "measure_image", stopping)
    assert CliRunner().invoke(main, ["bench", *map(str, options)]).exit_code == 130
    assert measured == ["a"]
    with (out / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"image": "b", "wid')  # as a crash leaves it
    run(*options)
    assert measured == ["a", "b", "c"]
    assert len(results(out).records) == 6
    run(*options, "--force")
    assert measured == ["a", "b", "c", "a", "b", "c"]


def test_what_failed_is_tried_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, encode = tmp_path / "out", Peer.encode
    options = ("--dataset", folder, "--models", "tiny", "--modes", "lossless", "--peers", "png", "-o", out)
    attempts, short = list[int](), [True]

    def encoding(self: Peer, picture: Picture, options: Options) -> Coded:
        attempts.append(picture.planes.shape[0])
        if short and picture.planes.shape[0] == 40:
            raise MemoryError
        return encode(self, picture, options)

    monkeypatch.setattr(Peer, "encode", encoding)
    run(*options, code=1)
    assert [(r.image, r.coder, r.failure) for r in results(out).failures] == [("b", "png", "MemoryError:")]
    short.clear()
    run(*options)
    assert not results(out).failures
    assert attempts == [64, 40, 24, 40]


def test_speeds_of_several_machines_or_numbers_of_processes_do_not_mix(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--dataset", folder, "--models", "tiny", "--modes", "lossless", "--peers", "none", "--limit", 1)
    run(*options, "-o", tmp_path)
    before = results(tmp_path)
    refused = run(*options, "-j", 2, "-o", tmp_path, code=1)
    assert "holds records of another jobs: choose another folder, or begin anew with --force" in refused.stderr
    elsewhere = environment() | {"machine": {"cpu": "another", "cores": 1}}
    monkeypatch.setattr(bench, "environment", lambda: elsewhere)
    assert "holds records of another machine: " in run(*options, "-o", tmp_path, code=1).stderr
    assert results(tmp_path) == before
    run(*options, "-o", tmp_path, "--force")
    assert results(tmp_path).provenance["machine"] == elsewhere["machine"]


def test_a_coder_whose_options_changed_is_measured_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--dataset", folder, "--models", "tiny", "--modes", "lossless", "--peers", "png,qoi", "-o", tmp_path)
    run(*options)
    before = {(r.image, r.coder): r for r in results(tmp_path).records}
    monkeypatch.setitem(PEERS, "png", replace(PEERS["png"], settings={"": {"level": 0}}))
    run(*options)
    after = {(r.image, r.coder): r for r in results(tmp_path).records}
    assert after.keys() == before.keys()
    assert {coder for image, coder in after if after[image, coder] != before[image, coder]} == {"png"}
    assert after["a", "png"].bytes > before["a", "png"].bytes


def two_folders(folder: Path) -> tuple[Path, Path]:
    """Two folders of one name, whose images have one name and size, and differ."""
    paths = folder / "1" / "photos", folder / "2" / "photos"
    for path, colour in zip(paths, ("red", "blue"), strict=True):
        path.mkdir(parents=True)
        Image.new("RGB", (16, 16), colour).save(path / "a.png")
        Image.effect_noise((16, 16), len(colour)).convert("RGB").save(path / "b.png")
    return paths


def test_images_of_one_name_have_records_of_their_own(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of one name share the default folder of results, and an image may be replaced by another."""
    first, second = two_folders(tmp_path)
    alone = tmp_path / "alone"
    options = ("--models", "tiny", "--modes", "lossless", "--peers", "png")
    run("--dataset", second, *options, "-o", alone)
    monkeypatch.chdir(tmp_path)
    measured, real = list[str](), runner.measure_image

    def noted(name: str, *rest: Any) -> list[Record]:
        measured.append(name)
        return real(name, *rest)

    monkeypatch.setattr(runner, "measure_image", noted)
    run("--dataset", first, *options)
    run("--dataset", second, *options)
    expected = [lasting(record) for record in results(alone).records]
    assert [lasting(record) for record in results(tmp_path / "bench-photos").records] == expected
    assert measured == ["a", "b"] * 2
    run("--dataset", first, *options, "--limit", 1)
    (second / "a.png").replace(first / "b.png")
    run("--dataset", first, *options)
    assert measured == [*["a", "b"] * 2, "b"]


def test_records_from_before_digests_are_measured_again(folder: Path, tmp_path: Path) -> None:
    options = (
        "--dataset",
        folder,
        "--models",
        "tiny",
        "--modes",
        "lossless",
        "--peers",
        "none",
        "-o",
        tmp_path / "out",
    )
    run(*options)
    before, journal = results(tmp_path / "out"), tmp_path / "out" / "records.jsonl"
    header, *lines = journal.read_text(encoding="utf-8").splitlines()
    old = [json.dumps({k: v for k, v in json.loads(line).items() if k != "digest"} | {"bytes": 1}) for line in lines]
    journal.write_text("\n".join([header, *old, ""]), encoding="utf-8")
    run(*options)
    assert [r.bytes for r in results(tmp_path / "out").records] == [r.bytes for r in before.records]


def test_the_current_folder_has_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run("--dataset", ".", "--models", "tiny", "--modes", "lossless", "--peers", "none", "--limit", 1)
    assert results(folder / "bench-pictures").dataset == "pictures"


def test_a_journal_of_something_else_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path, WHAT, Record)
    assert Journal(tmp_path, WHAT, Record).records == {}
    for other, named in (({"dataset": "there"}, "dataset"), ({"dataset": "there", "jobs": 2}, "dataset, jobs")):
        with pytest.raises(InputError, match=f"holds records of another {named}: choose another folder"):
            Journal(tmp_path, WHAT | other, Record)
    shapeless, no_text = json.dumps(WHAT | {"models": 3}).encode() + b"\n", b"\xff\n"
    for damaged in (b"", b"no JSON\n", json.dumps(WHAT).encode() + b'\n{"image": 3}\n', shapeless, no_text):
        (tmp_path / "records.jsonl").write_bytes(damaged)
        with pytest.raises(InputError, match="begin anew with --force"):
            Journal(tmp_path, WHAT, Record)
    Journal(tmp_path, WHAT, Record, force=True)


def test_a_model_that_changed_is_measured_again_and_nothing_else(tmp_path: Path) -> None:
    what = WHAT | {"models": {"a": "1", "b": "2"}}
    journal = Journal(tmp_path, what, Record)
    records = [record(coder, "", 5) for coder in ("a lossless", "b lossless", "a b lossless", "png")]
    journal.add(records)
    assert list(Journal(tmp_path, what | {"models": {"c": "3"}}, Record).records.values()) == records
    assert list(Journal(tmp_path, what, Record).records.values()) == records
    changed = what | {"models": {"a": "4"}}
    assert list(Journal(tmp_path, changed, Record).records.values()) == records[1:]
    changed = what | {"models": {"b": "5"}}
    assert list(Journal(tmp_path, changed, Record).records.values()) == records[2:]
    header = json.loads((tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert header["models"] == {"a": "4", "b": "5", "c": "3"}


def test_a_model_is_known_by_its_name_wherever_it_lies(folder: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    chosen = bench.choose_coders(plan_of(str(tiny_model_dir / "tiny")))
    assert bench.models_of(chosen) == bench.models_of(bench.choose_coders(plan_of("tiny")))
    assert list(bench.models_of(chosen)) == ["tiny"]
    with pytest.raises(InputError, match="two of the models have one name"):
        bench.choose_coders(plan_of("tiny", str(tiny_model_dir / "tiny")))


def plan_of(*models: str) -> bench.Plan:
    return bench.Plan("here", models, (), (50,), (0,), ("none",), None, None, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--dataset", "nowhere"), "no data set 'nowhere'; there are: cifar10, "),
        (("--dataset", "FOLDER", "--models", "none-such"), "no model 'none-such'"),
        (("--dataset", "FOLDER", "--models", "tiny", "--modes", "cg", "--peers", "none", "--limit", "0"), None),
        (("--dataset", "FOLDER", "--modes", "best"), None),
        (("--dataset", "FOLDER", "--qualities", "0,5"), None),
        (("--dataset", "FOLDER", "--qualities", "high"), None),
    ],
)
def test_bad_requests_say_why(options: tuple[str, ...], text: str | None, folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder) if option == "FOLDER" else option for option in options]
    result = run(*arguments, "-o", tmp_path / "out", code=1 if text else 2)
    if text:
        assert text in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_models_that_suit(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    names = dict.fromkeys(("kodak-best", "kodakish", "photo"), Path())
    monkeypatch.setattr(bench, "available_models", lambda: names)
    assert bench.suitable_models("kodak") == ("kodak-best", "photo-lossy", "photo-fast", "photo")
