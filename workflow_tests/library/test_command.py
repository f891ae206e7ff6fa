"""The command `ffensembles`: every subcommand runs the module that it names."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from workplace import ROOT

from ffensembles.study import command
from ffensembles.study.command import COMMANDS, Command, main


def test_describe_config_describes_and_checks(capsys):
    assert main(["describe-config"]) == 0
    assert "recipes" in capsys.readouterr().out
    assert main(["describe-config", str(ROOT / "config.yaml")]) == 0


def test_output_that_nobody_reads_to_its_end_is_no_error():
    code = "import sys; from ffensembles.study.command import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "describe-config"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_status_of_a_study_with_nothing_done(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["status", str(ROOT / "config.yaml")]) == 0
    assert "0 of" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["export", "RESULTS", "a.zip"], ["import", "a.zip", "RESULTS"]])
def test_export_and_import_say_what_is_missing(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("RESULTS").mkdir()
    assert main(words) == 1
    assert words[1] in capsys.readouterr().err


def test_no_words_and_a_wrong_word_list_the_commands(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("status", "export", "import", "describe-config"))
    assert main(["train"]) == 2
    assert listed in capsys.readouterr().err + "\n"


def test_a_missing_package_is_named(capsys, monkeypatch, tmp_path):
    (tmp_path / "needs_much.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "check", Command("needs_much", "check"))
    assert main(["check"]) == 1
    assert "a_package_nobody_has" in capsys.readouterr().err


def test_listing_the_commands_imports_nothing_slow():
    code = (
        "import sys; from ffensembles.study.command import main; main([]); "
        "print([m for m in ('torch', 'scipy', 'matplotlib', 'snakemake') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


def test_the_console_command_is_this_one():
    text = (ROOT / "pyproject.toml").read_text()
    assert 'ffensembles = "ffensembles.study.command:main"' in text
    for installed in entry_points(group="console_scripts", name="ffensembles"):
        assert installed.load() is command.main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_takes(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert "usage: " in capsys.readouterr().out
